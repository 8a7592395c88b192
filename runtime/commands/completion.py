"""``gradwright completion``: what makes a shell complete commands, options and values.

The scripts and the search are click's, but for words with a sign in them: bash takes a word apart
at ``:`` and ``=`` before it asks, and a network such as ``2-10:relu-2`` has colons; zsh and fish
do not, and ``--loss=m`` is one word to them.
"""

import os
from typing import final

import click
from click.shell_completion import (
    BashComplete,
    CompletionItem,
    FishComplete,
    ShellComplete,
    ZshComplete,
    add_completion_class,
    get_completion_class,
    split_arg_string,
)

PROGRAM = "gradwright"
VARIABLE = "_GRADWRIGHT_COMPLETE"  # click's name for it; a shell sets it when it asks

EPILOG = """\b
Examples, for this shell alone:
  eval "$(gradwright completion bash)"
  eval "$(gradwright completion zsh)"
  gradwright completion fish | source

\b
For all to come (in zsh first: fpath+=~/.zfunc; autoload -Uz compinit; compinit):
  gradwright completion bash > ~/.local/share/bash-completion/completions/gradwright
  gradwright completion zsh > ~/.zfunc/_gradwright
  gradwright completion fish > ~/.config/fish/completions/gradwright.fish
"""

# what stands before the last ':' or '=' is not bash's to replace, so it is taken off (`cut`)
_BASH = """\
%(complete_func)s() {
    local cut kind value
    COMPREPLY=()
    while IFS=, read -r kind value; do
        case $kind in
            cut) cut=$value ;;
            plain) COMPREPLY+=("${value#"$cut"}") ;;
            file | dir)
                compopt -o filenames
                local names
                mapfile -t names < <(compgen -A "${kind/dir/directory}" -- "$value")
                COMPREPLY+=("${names[@]#"$cut"}") ;;
        esac
    done < <(COMP_LINE=${COMP_LINE:0:COMP_POINT} COMP_WORDBREAKS=$COMP_WORDBREAKS \\
        %(complete_var)s=bash_complete "$1" 2> /dev/null)
}
complete -o nosort -F %(complete_func)s %(prog_name)s
"""


@final
class Bash(BashComplete):
    """Completion for bash that sees whole words."""

    source_template = _BASH

    def get_completion_args(self) -> tuple[list[str], str]:
        """Return the words before the cursor, and the one that it stands in."""
        line = os.environ["COMP_LINE"]
        words = split_arg_string(line)
        incomplete = "" if line[-1:].isspace() or not words else words.pop()
        option, equals, value = incomplete.partition("=")
        if equals and option.startswith("--"):
            return [*words[1:], option], value
        return words[1:], incomplete

    def complete(self) -> str:
        """Return what is not to be repeated, then an item a line."""
        _, incomplete = self.get_completion_args()
        breaks = os.environ["COMP_WORDBREAKS"]
        end = max(incomplete.rfind(sign) + 1 if sign in breaks else 0 for sign in ":=")
        return f"cut,{incomplete[:end]}\n{super().complete()}"


class _WholeWords(ShellComplete):
    """Says ``--option=`` again before a value, since the shell replaces the word as it stands."""

    def get_completions(self, args: list[str], incomplete: str) -> list[CompletionItem]:
        """Return what may stand in the place of the incomplete word."""
        option, equals, value = incomplete.partition("=")
        if not (equals and option.startswith("--")):
            return super().get_completions(args, incomplete)
        items = super().get_completions([*args, option], value)
        return [
            CompletionItem(f"{option}={item.value}") if item.type == "plain" else item
            for item in items
        ]


@final
class Zsh(_WholeWords, ZshComplete):
    """Completion for zsh; after ``--option=`` its search for files sees the value alone."""

    source_template = ZshComplete.source_template.replace("{\n", "{\n    compset -P '--*='\n", 1)


@final
class Fish(_WholeWords, FishComplete):
    """Completion for fish, where values may have commas in them."""

    source_template = FishComplete.source_template.replace('split ","', 'split --max 1 ","')


for _shell in (Bash, Zsh, Fish):
    add_completion_class(_shell)


@click.command("completion", epilog=EPILOG)
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
def command(shell: str) -> int:
    """Print a script for SHELL, which then completes commands, options and values."""
    from runtime.cli import cli

    kind = get_completion_class(shell)
    assert kind is not None, shell
    click.echo(kind(cli, {}, PROGRAM, VARIABLE).source(), nl=False)
    return 0
