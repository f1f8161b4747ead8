#include "bench/programs.h"

#include <vector>

namespace hak_bench {
namespace {

constexpr char kPython[] = R"(
import json, random, re, sys
assert not sys.flags.ignore_environment  # PYTHONMALLOC is in force
random.seed(7)
words = ["".join(random.choices("abcdefghij", k=random.randint(1, 12))) for _ in range(STEPS)]
counts = {}
for word in words:
    counts.setdefault(word, []).append(len(word))
document = {word: {"n": i, "list": list(range(i % 20))} for i, word in enumerate(words)}
assert json.loads(json.dumps(document)) == document
print(len(counts), len(re.findall("[a-e]{2,}", " ".join(words))), len(sorted(set(words))))
)";

constexpr char kSqlite[] = R"(
CREATE TABLE item (id INTEGER PRIMARY KEY, kind INTEGER, name TEXT, price REAL);
WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < STEPS)
INSERT INTO item SELECT i, (i * 7919) % 101, printf('name-%08x', (i * 2654435761) % 4294967296),
                        (i % 997) / 7.0 FROM n;
CREATE INDEX item_name ON item (name);
SELECT kind, count(*), sum(price), group_concat(name) FROM item GROUP BY kind;
SELECT count(*) FROM item a JOIN item b ON b.name = a.name || '' WHERE a.name LIKE '%ab%';
UPDATE item SET name = name || '-x' WHERE id % 3 = 0;
DELETE FROM item WHERE id % 7 = 0;
)";

constexpr char kLua[] = R"(
local x = 1
local function pick(n) x = (x * 1103515245 + 12345) & 0x7fffffff; return x % n + 1 end
local words, count = {}, {}
for i = 1, STEPS do
    local w = string.rep(string.char(96 + pick(26)), pick(40)) .. pick(1000)
    words[#words + 1] = w
    count[w] = { (count[w] or {})[1] or 0, w }
end
table.sort(words)
local function tree(depth)
    if depth == 0 then return {} end
    return { tree(depth - 1), tree(depth - 1) }
end
for i = 1, STEPS // 4000 do tree(10) end
print(#words, #table.concat(words, ","))
)";

constexpr char kPerl[] = R"(
my ($x, %count, %nested) = (42);
sub pick { $x = ($x * 1103515245 + 12345) & 0x7fffffff; return ($x >> 8) % $_[0]; }
for my $i (1 .. STEPS) {
    my $word = join "", map { chr(97 + pick(7)) } 1 .. 1 + pick(6);
    $count{$word}++;
    push @{ $nested{substr($word, 0, 2)}{length $word} }, $word x (1 + $i % 5);
}
my $text = join " ", sort keys %count;
(my $other = $text) =~ s/([a-c]+)/<$1>/g;
print length($other), " ", scalar(keys %nested), "\n";
)";

} // namespace

const std::vector<Program> &Programs() {
    static const auto *programs = new std::vector<Program>{
        // Without this the small objects stay with Python's own allocator.
        {"python3",
         "python3: dictionaries, JSON, text; PYTHONMALLOC=malloc",
         30'000,
         {"-s", "-S", "-c", kPython},
         {"PYTHONMALLOC=malloc", "PYTHONHASHSEED=0"}},
        {"sqlite3", "sqlite3: a table in memory, index, joins", 60'000, {":memory:", kSqlite}, {}},
        {"redis-server",
         "redis-server: keys, hashes, sorted sets, lists",
         100'000,
         {"--port", "0", "--unixsocket", "redis.sock", "--save", "", "--appendonly", "no"},
         {}},
        {"lua5.4", "lua5.4: tables, text, trees", 100'000, {"-e", kLua}, {}},
        {"gcc",
         "gcc: compiles a file of functions, -O1",
         120,
         {"-O1", "-c", "generated.c", "-o", "generated.o"},
         {}},
        {"perl", "perl: hashes, text", 100'000, {"-e", kPerl}, {"PERL_HASH_SEED=0"}},
    };
    return *programs;
}

} // namespace hak_bench
