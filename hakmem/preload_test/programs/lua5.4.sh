# lua5.4: tables, strings, closures, coroutines and both garbage collectors.
set -eu
for collector in generational incremental; do
    lua5.4 - "$collector" <<'LUA'
collectgarbage(arg[1])
local x = 1
local function pick(n) x = (x * 1103515245 + 12345) & 0x7fffffff; return x % n + 1 end
local words, count = {}, {}
for i = 1, 200000 do
    local w = string.rep(string.char(96 + pick(26)), pick(40)) .. pick(1000)
    words[#words + 1] = w
    count[w] = (count[w] or 0) + 1
end
table.sort(words)
print(#words, words[1], words[100000])
local distinct = 0
for _ in pairs(count) do distinct = distinct + 1 end
print(distinct)
local function tree(depth)
    if depth == 0 then return {} end
    return { tree(depth - 1), tree(depth - 1), label = ("n"):rep(depth) }
end
local function size(t) return t[1] and 1 + size(t[1]) + size(t[2]) or 1 end
for depth = 4, 16, 4 do print(depth, size(tree(depth))) end
local generators = {}
for i = 1, 2000 do
    generators[i] = coroutine.wrap(function() for j = 1, 5 do coroutine.yield(i * j) end end)
end
local sum = 0
for round = 1, 5 do for i = 1, 2000 do sum = sum + generators[i]() end end
print(sum, #table.concat(words, ","))
local file = assert(io.open("result/" .. arg[1], "w"))
file:write(table.concat(words, "\n"))
file:close()
LUA
done
