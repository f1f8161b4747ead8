# python3: dictionaries, json, regular expressions, big integers, threads, a child process.
set -eu
export PYTHONHASHSEED=0 PYTHONDONTWRITEBYTECODE=1
# PYTHONMALLOC=malloc sends the small objects to malloc too, not only the arenas.
for python_malloc in pymalloc malloc; do
    PYTHONMALLOC=$python_malloc python3 - <<'PY'
import collections, hashlib, json, random, re, subprocess, sys, threading

random.seed(7)
words = ["".join(random.choices("abcdefghij", k=random.randint(1, 12))) for _ in range(60000)]
counts = collections.Counter(words)
print(len(counts), counts.most_common(5))

document = {w: {"n": i, "list": list(range(i % 50)), "text": w * (i % 9)}
            for i, w in enumerate(words[:20000])}
text = json.dumps(document, sort_keys=True)
assert json.loads(text) == document
print(len(text), hashlib.sha256(text.encode()).hexdigest())
print(len(re.findall(r"\b([a-e]{2,})([f-j]+)\b", " ".join(words))))
print(hashlib.sha256(hex(3 ** 400000).encode()).hexdigest())

totals = [0] * 6
def work(index):
    kept = []
    for i in range(15000):
        kept.append(bytearray((i * 37 + index) % 3000))
        if len(kept) > 300:
            totals[index] += len(kept.pop(i % 300))
threads = [threading.Thread(target=work, args=(i,)) for i in range(6)]
for t in threads:
    t.start()
for t in threads:
    t.join()
print(totals)

for i in range(5):
    out = subprocess.run([sys.executable, "-c", f"print(sum(range({i}000)))"],
                         capture_output=True, check=True)
    print(out.stdout.decode().strip(), out.stderr.decode().strip())
with open("result/words.txt", "w") as f:
    f.write("\n".join(sorted(set(words))))
PY
done
