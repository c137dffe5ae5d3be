#!/bin/bash
# What the guests of the last `test.sh` found out, as the tables of docs/kernels.md.
#
#   table.sh print 5.10 6.12    on the standard output
#   table.sh write 5.10 ...     into docs/kernels.md, between its markers
#   table.sh check 5.10 6.12    compares the columns of these kernels with what stands there
set -euo pipefail
cd "$(dirname "$0")/../.."

page=docs/kernels.md
begin='<!-- begin: written by `make kernels-table` -->'
end='<!-- end -->'
[ $# -gt 1 ] || { sed -n '2,6s/^# \?//p' "$0" >&2; exit 1; }
mode=$1
shift

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# One file for each kernel, under the number of its series.
labels=()
for version in "$@"; do
    logs=()
    for machine in $(tools/kernels/machines.sh "$version"); do
        log=target/kernels/$version-$machine.log
        if ! grep -qs '^guest: all is well' "$log"; then
            echo "$log is not of a run that went well: make test-kernels" >&2
            exit 1
        fi
        logs+=("$log")
    done
    release=$(sed -n 's/\r$//; s/^guest: release //p' "${logs[0]}")
    label=$(cut -d. -f1,2 <<<"$release")
    labels+=("$label")
    sed -n 's/\r$//; s/^matrix: //p' "${logs[@]}" >"$work/$label"
    printf '%s\t%s\n' "$label" "$release" >>"$work/releases"
done

# Reads the files of the kernels, in order, and writes the tables.
tables() {
    (cd "$work" && awk -F '\t' '
        FILENAME == "releases" { release[$1] = $2; next }
        FNR == 1 { kernels[++columns] = FILENAME }
        {
            if (!(($1, $2) in known)) {
                known[$1, $2] = 1
                rows[$1, ++count[$1]] = $2
            }
            cells[$1, $2, FILENAME] = $3
            has[$1, FILENAME] = 1
        }
        function cell(table, row, kernel) {
            return ((table, row, kernel) in cells) ? cells[table, row, kernel] : ""
        }
        # Not every kernel answers each question.
        function head(title, first, table, i) {
            printf "\n### %s\n\n| %s |", title, first
            for (i = 1; i <= columns; i++) if ((table, kernels[i]) in has) printf " %s |", kernels[i]
            printf "\n| --- |"
            for (i = 1; i <= columns; i++) if ((table, kernels[i]) in has) printf " --- |"
            printf "\n"
        }
        function line(table, row, i) {
            printf "| `%s` |", row
            for (i = 1; i <= columns; i++)
                if ((table, kernels[i]) in has) printf " %s |", cell(table, row, kernels[i])
            printf "\n"
        }
        # A pair is true when its numbers were compared, too.
        function whole(title, first, table, i, j, row) {
            head(title, first, table)
            for (i = 1; i <= count[table]; i++) {
                row = rows[table, i]
                if (table == "pairs, plain")
                    for (j = 1; j <= columns; j++)
                        if (cell("compared", row, kernels[j]) != "true")
                            sub(/^true/, "served", cells[table, row, kernels[j]])
                line(table, row)
            }
        }
        # What is as on a plain machine is left out.
        function differing(place, title, kind, first, i, j, row, table, plain, differs, any) {
            table = kind ", " place
            plain = kind ", plain"
            for (i = 1; i <= count[table]; i++) {
                row = rows[table, i]
                differs = 0
                for (j = 1; j <= columns; j++)
                    if (((table, kernels[j]) in has) && cell(table, row, kernels[j]) != cell(plain, row, kernels[j]))
                        differs = 1
                if (!differs) continue
                if (!any) head(title ": " first "s", first, table)
                any = 1
                line(table, row)
            }
            if (!any) printf "\n### %s: %ss\n\nAll as above.\n", title, first
        }
        END {
            for (i = 1; i <= columns; i++) printf "%s%s", (i > 1 ? ", " : "Kernels of Debian: "), release[kernels[i]]
            printf ".\n"
            whole("Shipped configs", "config", "pairs, plain")
            whole("Hooks", "hook", "hooks, plain")
            whole("Reading maps", "kind", "reads")
            n = split("no BTF;no IPv6, integrity;lockdown=confidentiality", places, ";")
            split("Without BTF;Without IPv6, locked down (integrity);Locked down (confidentiality)", titles, ";")
            for (i = 1; i <= n; i++) {
                differing(places[i], titles[i], "hooks", "hook")
                differing(places[i], titles[i], "pairs", "config")
            }
            whole("Capabilities", "hook", "capabilities")
        }' releases "${labels[@]}")
}

# Title, row, column and text of each cell.
cells() {
    awk '
        /^### / { title = substr($0, 5); columns = 0; next }
        /^\| --- / { next }
        /^\| / {
            n = split($0, part, / *\| */)
            if (!columns) { columns = n; for (i = 3; i < n; i++) column[i] = part[i]; next }
            for (i = 3; i < n; i++) print title "\t" part[2] "\t" column[i] "\t" part[i]
        }' "$@"
}

tables >"$work/tables.md"
case $mode in
print) cat "$work/tables.md" ;;
write)
    awk -v begin="$begin" -v end="$end" -v tables="$work/tables.md" '
        $0 == begin { print; print ""; while ((getline row < tables) > 0) print row; print ""; inside = 1 }
        $0 == end { inside = 0 }
        !inside && $0 != begin { print }' "$page" >"$work/page.md"
    grep -qF "$end" "$work/page.md"
    cp "$work/page.md" "$page"
    ;;
check)
    sed -n "/^$begin/,/^$end/p" "$page" | cells >"$work/stated"
    cells "$work/tables.md" >"$work/found"
    # Kernels that the page does not have are for who writes it next.
    if ! awk -F '\t' '
        FILENAME == ARGV[1] { columns[$3] = 1; stated[$1, $2, $3] = $4; next }
        ($3 in columns) && stated[$1, $2, $3] != $4 {
            printf "%s: %s on %s is `%s`, and `%s` there\n", $1, $2, $3, $4, stated[$1, $2, $3]
            wrong = 1
        }
        END { exit wrong }' "$work/stated" "$work/found" >&2; then
        echo "$page says otherwise: make kernels-table" >&2
        exit 1
    fi
    ;;
*) exit 1 ;;
esac
