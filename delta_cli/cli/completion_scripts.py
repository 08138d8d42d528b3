"""What bash, zsh and fish load to complete `delta`; `make completions` writes them as files.

Each asks `delta` for lines and offers them as they are. None may ever evaluate a line: ids come
from the database, and whoever chose them would run commands in the shell of who presses Tab.
"""

from typing import Final

# `$2` is what readline replaces: the end of the word, where it holds one of COMP_WORDBREAKS.
# There is no mapfile in the bash of macOS, and no process substitution in its POSIX mode.
_BASH: Final = r"""# Offers the lines that delta prints; none of them is ever evaluated.
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
"""

# A file on fpath is the body of the function `_delta` when that is first called.
_ZSH: Final = r"""#compdef delta
# Offers the lines that delta prints; none of them is ever evaluated.
_delta() {
    local -a offered
    offered=("${(@f)$(env COMP_LINE="${words[1,$CURRENT]}" \
        _DELTA_COMPLETE=complete_zsh delta 2> /dev/null)}")
    offered=("${(@)offered:#}")
    if (( $#offered )); then
        _describe -V delta offered
    else
        _files
    fi
}

if [[ $funcstack[1] == _delta ]]; then
    _delta "$@"
else
    compdef _delta delta
fi
"""

_FISH: Final = r"""# Offers the lines that delta prints; none of them is ever evaluated.
function __delta_completion
    set -l line (commandline -cp | string collect)
    set -l offered (env COMP_LINE=$line _DELTA_COMPLETE=complete_fish delta 2> /dev/null)
    if set -q offered[1]
        printf '%s\n' $offered
    else
        __fish_complete_path (commandline -ct)
    end
end

complete --command delta --no-files --arguments "(__delta_completion)"
"""

#: By the name of the shell.
SCRIPTS: Final = {"bash": _BASH, "zsh": _ZSH, "fish": _FISH}
