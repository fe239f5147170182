// The vocabulary as a script for each shell. Static, but for names of peers, which a verb about peers asks the daemon for.
import type { Flag, Verb } from "./vocabulary.ts";

/** Prints names of peers, one per line, and nothing else whatever happens. */
const ASK_PEERS = "weave completion peers 2>/dev/null";

export const SHELLS = ["bash", "zsh", "fish"] as const;
export type Shell = (typeof SHELLS)[number];

/** The script to be evaluated by the shell. */
export function scriptFor(shell: Shell, verbs: readonly Verb[]): string {
  switch (shell) {
    case "bash":
      return bash(verbs);
    case "zsh":
      return zsh(verbs);
    case "fish":
      return fish(verbs);
  }
}

/** Where nothing of ours fits, bash completes file names (-o default): directories, namespaces. */
function bash(verbs: readonly Verb[]): string {
  return `# bash completion of weave; load it with: source <(weave completion bash)
_weave() {
  local cur=\${COMP_WORDS[COMP_CWORD]} prev=\${COMP_WORDS[COMP_CWORD-1]} verb= words= i
  for ((i = 1; i < COMP_CWORD; i++)); do
    [[ \${COMP_WORDS[i]} == -* ]] || { verb=\${COMP_WORDS[i]}; break; }
  done
${choose(verbs, "$(%)")}
  COMPREPLY=($(compgen -W "$words" -- "$cur"))
}
complete -o default -F _weave weave`;
}

function zsh(verbs: readonly Verb[]): string {
  return `#compdef weave
# zsh completion of weave; load it with: source <(weave completion zsh)
_weave() {
  local cur=\${words[CURRENT]} prev=\${words[CURRENT-1]} verb= found= i
  for ((i = 2; i < CURRENT; i++)); do
    [[ \${words[i]} == -* ]] || { verb=\${words[i]}; break; }
  done
${choose(verbs, "$(%)").replaceAll(" words=", " found=").replaceAll("$words", "$found")}
  [[ -n $found ]] && compadd -- \${=found} || _files
}
# As a file of fpath this is the body of _weave, called for the first time: it is to complete, too.
if [[ \${funcstack[1]} == _weave ]]; then
  _weave
else
  (( $+functions[compdef] )) || { autoload -Uz compinit && compinit -i }
  compdef _weave weave
fi`;
}

/** Cases that are the same in both shells: sets \`words\`. */
function choose(verbs: readonly Verb[], run: string): string {
  const lines = [
    "  case $verb in",
    `    "") words=${quoted([...verbs.map(({ name }) => name), "help", "--help", "--version"])} ;;`,
    `    help) words=${quoted(verbs.map(({ name }) => name))} ;;`,
    ...verbs.map(({ name, options, words, takesPeers }) => {
      const fixed = [...words, ...options.map(({ long }) => long)].join(" ");
      return `    ${name}) words="${fixed}${takesPeers ? ` ${run.replace("%", ASK_PEERS)}` : ""}" ;;`;
    }),
    "  esac",
    '  case "$verb $prev" in',
    ...verbs.flatMap(({ name, options }) =>
      options
        .filter(({ takesValue }) => takesValue)
        .map(({ long, choices }) => `    "${name} ${long}") words=${quoted(choices)} ;;`),
    ),
    "  esac",
  ];
  return lines.join("\n");
}

function fish(verbs: readonly Verb[]): string {
  const lines = [
    "# fish completion of weave; load it with: weave completion fish | source",
    `complete -c weave -n __fish_use_subcommand -f -a help -d ${literal("show the help of a verb")}`,
    `complete -c weave -n "__fish_seen_subcommand_from help" -f -a "${verbs.map(({ name }) => name).join(" ")}"`,
  ];
  for (const { name, description, options, words, takesPeers } of verbs) {
    const after = `-n "__fish_seen_subcommand_from ${name}"`;
    lines.push(`complete -c weave -n __fish_use_subcommand -f -a ${name} -d ${literal(description)}`);
    for (const flag of options) lines.push(`complete -c weave ${after} ${fishFlag(flag)}`);
    if (words.length > 0) lines.push(`complete -c weave ${after} -f -a "${words.join(" ")}"`);
    if (takesPeers) lines.push(`complete -c weave ${after} -f -a "(${ASK_PEERS})"`);
  }
  return lines.join("\n");
}

function fishFlag({ long, description, takesValue, choices }: Flag): string {
  const value = choices.length > 0 ? ` -xa "${choices.join(" ")}"` : takesValue ? " -r" : "";
  return `-l ${long.replace(/^--/, "")}${value} -d ${literal(description)}`;
}

const quoted = (words: readonly string[]): string => `"${words.join(" ")}"`;

/** In single quotes, as fish reads them. */
const literal = (text: string): string => `'${text.replace(/[\\']/g, (character) => `\\${character}`)}'`;
