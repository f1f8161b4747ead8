# git: 300 files, commits, a branch and a merge, log, blame, gc, fsck.
set -eu
export GIT_AUTHOR_NAME=a GIT_AUTHOR_EMAIL=a@example.com GIT_COMMITTER_NAME=c
export GIT_COMMITTER_EMAIL=c@example.com GIT_CONFIG_NOSYSTEM=1
export GIT_AUTHOR_DATE='2020-01-01T00:00:00Z' GIT_COMMITTER_DATE='2020-01-01T00:00:00Z'
git init -q -b main repository
cd repository
for i in $(seq 300); do
    mkdir -p "d$((i % 17))"
    seq "$i" $((i + 400)) >"d$((i % 17))/f$i"
done
git add .
git commit -q -m first
for round in $(seq 10); do
    for f in d$((round % 17))/f*; do
        sed -i "$((round * 7))s/\$/ changed in $round/" "$f"
    done
    git commit -q -a -m "round $round"
done
git checkout -q -b side HEAD~5
echo side >side
git add side
git commit -q -m side
git checkout -q main
git merge -q --no-edit side
git log --stat | cat
git blame d3/f3 | head -n 40
git diff HEAD~6 HEAD
git gc -q
git fsck --full --strict
git cat-file --batch-all-objects --batch-check
git grep -c changed | cat
git clone -q . ../copy
git -C ../copy rev-parse HEAD 'HEAD^{tree}'
git archive HEAD >../result/archive.tar
