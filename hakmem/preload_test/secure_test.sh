#!/bin/bash
# A process with more rights than its caller (AT_SECURE) reads no HAKMEM_ variable. By a program
# that is told so, and by one that has them: set-uid where this user may make one, set-gid where it
# has a second group, and otherwise not at all, which is said.
#
#   secure_test.sh PROGRAM PROGRAM_THAT_IS_TOLD_SO
set -u

program=$(realpath "$1")
told=$(realpath "$2")
failures=0
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT

fail() {
    echo "FAIL $*"
    failures=$((failures + 1))
}

options() { sed '/^secure /d' "$1"; }

# Every option, off its default: by its range, "A..B" or names with | between them.
env -i "$program" >"$folder/defaults"
settings=()
while read -r name _ value range; do
    range=${range#(}
    if [[ $range == *..* ]]; then
        last=${range#*..}
        last=${last%% *}
        last=${last%)}
        first=${range%%..*}
    else
        range=${range%)}
        first=${range%%|*}
        last=${range##*|}
    fi
    if [ "$value" = "$last" ]; then settings+=("$name=$first"); else settings+=("$name=$last"); fi
done < <(options "$folder/defaults")

# They have an effect; else nothing would be shown by their having none.
env -i "${settings[@]}" "$program" >"$folder/set" 2>"$folder/set.stderr"
same=$(comm -12 <(options "$folder/defaults" | sort) <(options "$folder/set" | sort))
[ -z "$same" ] || fail "set, and as by default all the same: $same"
[ -s "$folder/set.stderr" ] || fail "HAKMEM_STATS wrote nothing"

# $1: how; $2: program.
check_secure() {
    env -i "${settings[@]}" "$2" >"$folder/secure" 2>"$folder/secure.stderr" ||
        fail "$1: exit status $?"
    diff <(options "$folder/defaults") <(options "$folder/secure") || fail "$1: options were read"
    [ -s "$folder/secure.stderr" ] && fail "$1: $(cat "$folder/secure.stderr")"
    echo "DONE $1"
}

check_secure "${#settings[@]} options, told that it has more rights" "$told"

# $1: how; $2, $3: who it is to run as; $4: mode.
check_with_rights() {
    local copy=$folder/$4
    cp "$program" "$copy" && chmod 755 "$folder" && "$2" "$3" "$copy" && chmod "$4" "$copy" ||
        { echo "SKIP $1: may not be made here"; return; }
    if [ "$(env -i "$copy" | sed -n 's/^secure //p')" != 1 ]; then
        echo "SKIP $1: the system gives it no rights here (nosuid, or no new privileges)"
        return
    fi
    check_secure "$1" "$copy"
}

if [ "$(id -u)" = 0 ]; then
    check_with_rights "set-uid to another user" chown 65534 4755
else
    echo "SKIP set-uid: only root may make a program of another user"
fi
group=$(id -G | tr ' ' '\n' | grep -vx "$(id -g)" | head -1)
[ "$(id -u)" = 0 ] && group=65534
if [ -n "$group" ]; then
    check_with_rights "set-gid to another group" chgrp "$group" 2755
else
    echo "SKIP set-gid: this user has one group"
fi
[ "$failures" = 0 ] && echo PASS
[ "$failures" = 0 ]
