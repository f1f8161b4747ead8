# bash: arrays, associative arrays, growing strings, subshells, pipes, background jobs.
set -eu
bash -c '
set -eu
declare -A count
declare -a list
x=1
for ((i = 0; i < 30000; i++)); do
    x=$(((x * 1103515245 + 12345) & 0x7fffffff))
    key=k$((x % 997))
    count[$key]=$((${count[$key]:-0} + 1))
    list+=("$key-$i")
done
for key in k0 k1 k500 k996; do echo "$key ${count[$key]:-none}"; done
echo "${#list[@]} ${#count[@]}"
text=
for ((i = 0; i < 3000; i++)); do text+="${list[i]} "; done
echo "${#text}"
text=${text//k1/<one>}
echo "${#text} ${text:100:60}"
for ((i = 0; i < 150; i++)); do
    value=$(echo "$((i * i))" | tr 0-9 a-j)
    printf "%s " "$value"
done
echo
for ((i = 0; i < 20; i++)); do
    (sleep 0; echo "${list[i]}" >"result/job$i") &
done
wait
unset "list[5]" count
list=("${list[@]:100:200}")
echo "${#list[@]} ${list[*]:0:5}"
'
