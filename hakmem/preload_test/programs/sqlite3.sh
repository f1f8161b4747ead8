# sqlite3: 100,000 rows, indexes, joins, window functions, an update, a vacuum.
set -eu
sqlite3 result/data.db <<'SQL'
PRAGMA journal_mode = MEMORY;
PRAGMA synchronous = OFF;
CREATE TABLE item (id INTEGER PRIMARY KEY, kind INTEGER, name TEXT, price REAL);
CREATE TABLE kind (id INTEGER PRIMARY KEY, title TEXT);
BEGIN;
WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 100000)
INSERT INTO item SELECT i, (i * 7919) % 101, printf('name-%08x', (i * 2654435761) % 4294967296),
                        (i % 997) / 7.0 FROM n;
WITH RECURSIVE n(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i < 100)
INSERT INTO kind SELECT i, printf('kind %d', i) FROM n;
COMMIT;
CREATE INDEX item_name ON item (name);
CREATE INDEX item_kind ON item (kind, price);
SELECT title, count(*), round(sum(price), 3), min(name), max(name)
  FROM item JOIN kind ON kind.id = item.kind GROUP BY title ORDER BY title;
SELECT a.id, b.id FROM item a JOIN item b ON a.name < b.name AND b.id = a.id + 1
 WHERE a.kind = 3 ORDER BY a.name LIMIT 50;
SELECT id, name, rank() OVER (PARTITION BY kind ORDER BY price DESC, id) AS r
  FROM item WHERE kind < 3 ORDER BY kind, r LIMIT 50;
SELECT length(group_concat(name)) FROM item;
SELECT count(*) FROM item WHERE name LIKE '%ab%';
UPDATE item SET name = name || '-x' WHERE id % 10 = 0;
DELETE FROM item WHERE id % 7 = 0;
VACUUM;
PRAGMA integrity_check;
SELECT count(*), sum(length(name)) FROM item;
SQL
