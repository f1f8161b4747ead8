# openssl: digests, encryption, keys and certificates with outcomes that do not vary.
set -eu
command -v openssl >/dev/null || exit 77
seq 400000 >data
openssl dgst -sha256 -sha512 data
openssl enc -aes-256-cbc -K "$(printf %064d 7)" -iv "$(printf %032d 9)" -in data -out result/enc
openssl enc -d -aes-256-cbc -K "$(printf %064d 7)" -iv "$(printf %032d 9)" -in result/enc |
    cmp - data
openssl genrsa -out key.pem 2048 2>/dev/null
openssl rsa -in key.pem -check -noout 2>/dev/null
openssl req -x509 -new -key key.pem -subj /CN=test -days 1 -out cert.pem
openssl verify -CAfile cert.pem cert.pem
openssl dgst -sha256 -sign key.pem -out signature data
openssl x509 -in cert.pem -pubkey -noout >public.pem
openssl dgst -sha256 -verify public.pem -signature signature data
openssl prime -generate -bits 64 >/dev/null
openssl ecparam -name prime256v1 -genkey -noout | openssl ec -check -noout 2>&1 | grep -i valid
