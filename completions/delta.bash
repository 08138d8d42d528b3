# Offers the lines that delta prints; none of them is ever evaluated.
_delta_completion() {
    local word
    COMPREPLY=()
    while IFS= read -r word; do
        # Bash inserts a word as it is, so it must mean nothing but itself.
        case $word in
            '' | *[[:cntrl:][:space:]]* | *[\"\'\`\$\\\;\&\|\<\>\(\)\{\}\[\]\*\?\!\~\#^]*) ;;
            *) COMPREPLY+=("$word") ;;
        esac
    done <<< "$(env COMP_LINE="${COMP_LINE:0:COMP_POINT}" COMP_WORD="$2" \
        _DELTA_COMPLETE=complete_bash "$1" 2> /dev/null)"
}

complete -o default -F _delta_completion delta
