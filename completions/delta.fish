# Offers the lines that delta prints; none of them is ever evaluated.
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
