/**
 * The scripts by which shells complete our command lines: they pass on the words so far, and get a line for each candidate,
 * `VALUE TAB DESCRIPTION`, or one of `:files`, `:directories`, `:commands`, which the shell itself completes.
 */
import { UsageError } from '../../parent/errors.js';

export const shells = ['bash', 'zsh', 'fish'] as const;
export type Shell = (typeof shells)[number];

/** Throws UsageError. */
export function parseShell(text: string): Shell {
  const shell = shells.find((name) => name === text);
  if (shell) return shell;
  throw new UsageError(`invalid shell ${JSON.stringify(text)}: expected one of ${shells.join(', ')}`);
}

/** Where a package installs it, below /usr/share, and what it has to be called. */
export function scriptPath(shell: Shell, program: string): string {
  return {
    bash: `bash-completion/completions/${program}`,
    zsh: `zsh/vendor-completions/_${program}`,
    fish: `fish/vendor_completions.d/${program}.fish`,
  }[shell];
}

export function shellScript(shell: Shell, program: string): string {
  const name = program.replaceAll('-', '_');
  return { bash, zsh, fish }[shell](program, name);
}

/** Readline replaces what follows the last = or :, so candidates are without what is before. */
function bash(program: string, name: string): string {
  return `# bash completion for ${program}: . <(${program} completion bash)
_${name}_complete() {
  local line=\${COMP_LINE:0:COMP_POINT} words value kept= tab=$'\\t'
  IFS=$' \\t\\n' read -ra words <<<"$line"
  case $line in *[[:space:]]) words+=('') ;; esac
  local current=\${words[\${#words[@]} - 1]}
  case $current in *[=:]*) kept=\${current%"\${current##*[=:]}"} ;; esac
  COMPREPLY=()
  while IFS= read -r line; do
    value=\${line%%"$tab"*}
    case $value in
      :files) compopt -o default ;;
      :directories) compopt -o dirnames ;;
      :commands) COMPREPLY+=($(compgen -c -- "$current")) ;;
      *) COMPREPLY+=("\${value#"$kept"}") ;;
    esac
  done < <("$1" __complete "\${words[@]:1}" 2>/dev/null)
}
complete -F _${name}_complete ${program}
`;
}

function zsh(program: string, name: string): string {
  return `#compdef ${program}
# zsh completion for ${program}: source <(${program} completion zsh)
_${name}_complete() {
  local line tab=$'\\t'
  local -a candidates
  for line in "\${(@f)$("\${words[1]}" __complete "\${(@)words[2,CURRENT-1]}" "$PREFIX" 2>/dev/null)}"; do
    case $line in
      '') ;;
      :files) _files ;;
      :directories) _files -/ ;;
      :commands) _command_names -e ;;
      *) candidates+=("\${\${line%%$tab*}//:/\\\\:}:\${line#*$tab}") ;;
    esac
  done
  if (( $#candidates )); then _describe '${program}' candidates; fi
}
if [ "$funcstack[1]" = _${program} ]; then _${name}_complete; else compdef _${name}_complete ${program}; fi
`;
}

function fish(program: string, name: string): string {
  return `# fish completion for ${program}: ${program} completion fish | source
function __${name}_complete
  set -l words (commandline -opc)
  set -l current (commandline -ct)
  for line in ($words[1] __complete $words[2..-1] "$current" 2>/dev/null)
    switch $line
      case :files
        __fish_complete_path "$current"
      case :directories
        __fish_complete_directories "$current"
      case :commands
        __fish_complete_command
      case '*'
        echo $line
    end
  end
end
complete -c ${program} -f -a '(__${name}_complete)'
`;
}
