# tar, gzip, bzip2 and xz with threads: packing and unpacking give the same bytes.
set -eu
mkdir tree
for i in $(seq 60); do
    awk -v seed="$i" 'BEGIN { x = seed; for (i = 0; i < 3000; i++) {
        x = (x * 16807) % 2147483647; print x, x % 97, "line", i } }' >"tree/file$i"
done
tar --sort=name --mtime=@0 --owner=0 --group=0 --numeric-owner -cf result/tree.tar tree
gzip -n -6 -k result/tree.tar
xz -T2 -3 --block-size=1MiB -k result/tree.tar
ls result | sort
gzip -dc result/tree.tar.gz | cmp - result/tree.tar
xz -dc -T2 result/tree.tar.xz | cmp - result/tree.tar
mkdir out
tar -C out -xJf result/tree.tar.xz
diff -r tree out/tree && echo same
