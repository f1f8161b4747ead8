# sort with threads, awk, sed, join, uniq, tr, grep, find, split and diff on about 8 MB of text.
set -eu
awk 'BEGIN {
    x = 1
    for (i = 0; i < 250000; i++) {
        x = (x * 16807) % 2147483647
        word = substr("abcdefghijklmnopqrstuvwxyz", x % 26 + 1)
        printf "%d key%05d %s %d\n", x, x % 50000, word, i
    }
}' >table
sort --parallel=4 -S 8M table >sorted
sort --parallel=4 -k2,2 -k1,1nr table | md5sum
sort -u -k2,2 table | cut -d' ' -f1,2 | sort -k2,2 >left
awk '{ n[$2]++; len += length($3); s[$2] = s[$2] "," $4 }
     END { for (k in n) print k, n[k], length(s[k]) }' sorted | sort >right
join -1 2 -2 1 left right | md5sum
sed -E 's/key([0-9]+) ([a-m]+)/<\2:\1>/g; /99/d' sorted | md5sum
tr a-z A-Z <sorted | grep -E -c 'KEY.*(ABC|XYZ)'
cut -d' ' -f3 table | sort | uniq -c | sort -rn | head -n 20
diff <(head -n 20000 sorted) <(head -n 20000 sorted | sed '500,600d; 900s/key/KEY/') | md5sum
split -l 5000 table part.
find . -name 'part.*' -print0 | sort -z | xargs -0 -P 2 -n 5 cat | wc -c
cp left right result/
