# php: arrays, strings, sorting, regular expressions, JSON. Its extensions are opened with
# RTLD_DEEPBIND; without its own allocator every zval is malloc's.
set -eu
command -v php >/dev/null || exit 77
cat >work.php <<'PHP'
<?php
$x = 42;
function pick($n) { global $x; $x = ($x * 1103515245 + 12345) & 0x7fffffff; return ($x >> 8) % $n; }
$words = [];
$count = [];
for ($i = 0; $i < 100000; $i++) {
    $word = "";
    for ($k = pick(6); $k >= 0; $k--) $word .= chr(97 + pick(7));
    $count[$word] = ($count[$word] ?? 0) + 1;
    $words[] = str_repeat($word, 1 + $i % 5);
}
ksort($count);
arsort($count);
echo count($count), " ", implode(",", array_slice(array_keys($count), 0, 10)), "\n";
$text = implode(" ", $words);
echo strlen($text), " ", preg_match_all('/\b(?:ab|cd)\w*g\b/', $text), "\n";
echo strlen(preg_replace('/[a-c]+/', '<$0>', $text)), "\n";
$json = json_encode(["words" => array_slice($words, 0, 20000), "count" => $count]);
echo strlen($json), " ", md5(serialize(json_decode($json, true))), "\n";
sort($words);
file_put_contents($argv[1], implode("\n", $words));
PHP
php work.php result/by_zend
USE_ZEND_ALLOC=0 php work.php result/by_malloc
