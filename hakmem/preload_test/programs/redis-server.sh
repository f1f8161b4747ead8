# redis-server under redis-benchmark; a background save by fork; a clean shutdown.
# A socket in the working directory needs no free port, so two runs at once cannot collide.
set -eu
redis-server --port 0 --unixsocket redis.sock --daemonize no --save '' --appendonly no \
    --enable-debug-command yes --dir . >server.log 2>&1 &
server=$!
trap 'kill "$server" 2>/dev/null || true' EXIT
cli() { redis-cli -s redis.sock "$@"; }
for _ in $(seq 100); do
    [ "$(cli ping 2>/dev/null)" = PONG ] && break
    sleep 0.1
done
redis-benchmark -s redis.sock -n 20000 -c 20 -d 100 -q \
    -t set,get,incr,lpush,rpop,sadd,hset,zadd,mset >/dev/null
awk 'BEGIN {
    for (i = 0; i < 30000; i++) {
        printf "SET key:%d %0*d\r\n", i, i % 700 + 1, i
        printf "HSET hash:%d field%d value%d\r\n", i % 100, i, i
        printf "ZADD sorted %d member%d\r\n", i * 7919 % 10007, i
        if (i % 3 == 0) printf "DEL key:%d\r\n", i / 2
        if (i % 5 == 0) printf "APPEND key:%d %s\r\n", i - 1, "appended"
    }
}' | cli --pipe | tail -n 1
cli dbsize
cli get key:29999
cli hlen hash:7
cli zrange sorted 100 110 withscores
cli get counter:__rand_int__
cli llen mylist
cli debug digest
cli debug reload
cli debug digest
cli bgsave
for _ in $(seq 100); do
    cli info persistence | grep -q 'rdb_bgsave_in_progress:0' && break
    sleep 0.1
done
cli info persistence | grep rdb_last_bgsave_status
cli shutdown nosave
trap - EXIT
wait "$server" && echo "clean shutdown"
grep -E 'hakmem: |crashed|BUG REPORT' server.log || true
