/**
 * Completion scripts for bash, zsh and fish. Verbs and flags are written into the script; names of
 * peers and networks are asked for at the key press, by `weft completion peers|networks`.
 *
 * bash and zsh share three functions: what flags a verb has, what follows a flag, what stands at a
 * place behind a verb. They differ in how they hand the words over.
 */
import type { Command } from "./command.ts";
import {
  type FlagWords,
  globalFlags,
  type VerbWords,
  verbWords,
  type Words,
} from "./verb-words.ts";

export const SHELLS = ["bash", "zsh", "fish"] as const;
export type Shell = (typeof SHELLS)[number];

export function completionScript(shell: Shell, commands: readonly Command[]): string {
  const verbs = commands.map(verbWords);
  if (shell === "fish") return fishScript(verbs);
  return shell === "bash" ? bashScript(verbs) : zshScript(verbs);
}

/** In single quotes, for bash and zsh. */
function quoted(text: string): string {
  return `'${text.replaceAll("'", "'\\''")}'`;
}

/** fish takes a backslash inside single quotes. */
function fishQuoted(text: string): string {
  return `'${text.replaceAll("\\", "\\\\").replaceAll("'", "\\'")}'`;
}

/** A shell command that prints the words, one a line. */
function source(words: Words): string {
  if (words.kind === "list") return `printf '%s\\n' ${words.words.map(quoted).join(" ")}`;
  if (words.kind === "text") return ":";
  return words.kind === "files"
    ? "echo FILES"
    : `weft completion ${words.kind} "\${_weft_given[@]}" 2>/dev/null`;
}

function allFlags(verb: VerbWords): readonly FlagWords[] {
  return [...verb.flags, ...globalFlags()];
}

/** `word:what it means`, as zsh's _describe wants it; bash cuts the meaning off. */
function described(pairs: readonly (readonly [string, string])[]): string {
  const lines = pairs.map(([word, meaning]) => quoted(`${word}:${meaning}`));
  return `printf '%s\\n' ${lines.join(" \\\n      ")}`;
}

function cases(rows: readonly (readonly [string, string])[]): string {
  return rows.map(([pattern, body]) => `  ${pattern})\n    ${body}\n    ;;`).join("\n");
}

function sharedFunctions(verbs: readonly VerbWords[]): string {
  const names = verbs.flatMap((verb) => verb.names.map((name) => [name, verb.describe] as const));
  const pattern = (verb: VerbWords): string => verb.names.join(" | ");
  const flags = verbs.map(
    (verb) =>
      [
        pattern(verb),
        described(
          allFlags(verb).flatMap((flag) =>
            flag.flags.map((name) => [name, flag.describe] as const),
          ),
        ),
      ] as const,
  );
  const values = new Map<string, string>();
  for (const flag of verbs.flatMap(allFlags)) {
    if (flag.value !== undefined) values.set(flag.flags.join(" | "), source(flag.value));
  }
  const places = verbs.flatMap((verb) =>
    verb.places.map(
      (place, i) =>
        [verb.names.map((name) => `${name}:${i + 1}`).join(" | "), source(place.words)] as const,
    ),
  );
  return `_weft_verbs() {
  ${described(names)}
}

# flags of the verb $1
_weft_flags() {
  case $1 in
${cases(flags)}
  esac
}

# what follows the flag $1; fails for a switch
_weft_value() {
  case $1 in
${cases([...values])}
  *)
    return 1
    ;;
  esac
}

# what stands at place $2 behind the verb $1
_weft_place() {
  case $1:$2 in
${cases(places)}
  esac
}

# sets verb, place and flag (one that waits for its value) from the words before the current one
_weft_scan() {
  verb= place=0 flag=
  _weft_given=()
  local word
  for word in "$@"; do
    if [ -n "$flag" ]; then
      case $flag in --config | --node | --run-dir | --state-dir) _weft_given+=("$flag" "$word") ;; esac
      flag=
    elif [ "\${word#-}" != "$word" ]; then
      case $word in *=*) ;; *) _weft_value "$word" >/dev/null 2>&1 && flag=$word ;; esac
    elif [ -z "$verb" ]; then
      verb=$word
    else
      place=$((place + 1))
    fi
  done
  place=$((place + 1))
}

# the words that may stand here; FILES alone means a path
_weft_words() {
  if [ -n "$flag" ]; then
    _weft_value "$flag"
  elif [ -z "$verb" ]; then
    _weft_verbs
  else
    case $1 in
    -*) _weft_flags "$verb" ;;
    *) _weft_place "$verb" "$place" ;;
    esac
  fi
}
`;
}

function bashScript(verbs: readonly VerbWords[]): string {
  return `# completion of weft for bash: weft completion bash >/etc/bash_completion.d/weft
${sharedFunctions(verbs)}
_weft() {
  local current=\${COMP_WORDS[COMP_CWORD]} verb place flag words
  _weft_scan "\${COMP_WORDS[@]:1:COMP_CWORD-1}"
  words=$(_weft_words "$current")
  COMPREPLY=()
  if [ "$words" = FILES ]; then
    compopt -o filenames 2>/dev/null
    mapfile -t COMPREPLY < <(compgen -f -- "$current")
  else
    # a name holds no colon: what stands behind one is its meaning
    mapfile -t COMPREPLY < <(compgen -W "$(printf '%s\\n' "$words" | sed 's/:.*//')" -- "$current")
  fi
}
complete -F _weft weft
`;
}

function zshScript(verbs: readonly VerbWords[]): string {
  return `#compdef weft
# completion of weft for zsh: weft completion zsh >/usr/share/zsh/vendor-completions/_weft
${sharedFunctions(verbs)}
_weft() {
  local verb place flag
  local -a found
  _weft_scan "\${(@)words[2,CURRENT-1]}"
  found=("\${(@f)$(_weft_words "\${words[CURRENT]}")}")
  found=("\${(@)found:#}")
  if [[ "$found" == FILES ]]; then
    _files
  elif (( \${#found} )); then
    _describe -t words word found
  fi
}
# loaded by the completion system it is called; sourced it registers itself
if [ "$funcstack[1]" = "_weft" ]; then _weft "$@"; else compdef _weft weft; fi
`;
}

function fishScript(verbs: readonly VerbWords[]): string {
  const lines = [
    "# completion of weft for fish: weft completion fish >/etc/fish/completions/weft.fish",
    `set -g _weft_valued ${valued(verbs).join(" ")}`,
    FISH_FUNCTIONS,
    "complete -c weft -f",
  ];
  for (const verb of verbs) {
    for (const name of verb.names)
      lines.push(`complete -c weft -n '_weft_at 0' -a ${name} -d ${fishQuoted(verb.describe)}`);
    for (const flag of allFlags(verb)) lines.push(fishFlag(verb, flag));
    for (const [i, place] of verb.places.entries()) {
      const words = fishWords(place.words);
      if (words !== undefined)
        lines.push(
          `complete -c weft -n '_weft_at ${i + 1} ${verb.names.join(" ")}' -a ${words} -d ${fishQuoted(place.describe)}`,
        );
    }
  }
  return `${lines.join("\n")}\n`;
}

/** Every flag that another word belongs to. */
function valued(verbs: readonly VerbWords[]): string[] {
  const flags = verbs.flatMap(allFlags).filter(({ value }) => value !== undefined);
  return [...new Set(flags.flatMap((flag) => flag.flags))];
}

function fishFlag(verb: VerbWords, { flags, describe, value }: FlagWords): string {
  const names = flags.map((flag) =>
    flag.startsWith("--") ? `-l ${flag.slice(2)}` : `-s ${flag.slice(1)}`,
  );
  const words = value === undefined ? undefined : fishWords(value);
  const takes = value === undefined ? "" : value.kind === "files" ? " -r -F" : " -x";
  const list = words === undefined ? "" : ` -a ${words}`;
  return `complete -c weft -n '_weft_verb ${verb.names.join(" ")}' ${names.join(" ")}${takes}${list} -d ${fishQuoted(describe)}`;
}

function fishWords(words: Words): string | undefined {
  if (words.kind === "list") return fishQuoted(words.words.join(" "));
  if (words.kind === "files" || words.kind === "text") return undefined;
  return `'(weft completion ${words.kind} (_weft_given) 2>/dev/null)'`;
}

/** fish knows which token is a flag's value only when asked: ours are told by their flags. */
const FISH_FUNCTIONS = `
# the words that are neither flags nor their values
function _weft_plain
    set -l skip no
    for word in (commandline -opc)[2..-1]
        if test $skip = yes
            set skip no
        else if string match -q -- '-*' $word
            contains -- $word $_weft_valued; and set skip yes
        else
            echo $word
        end
    end
end

# whether the verb is one of these
function _weft_verb
    set -l plain (_weft_plain)
    test (count $plain) -gt 0; and contains -- $plain[1] $argv
end

# whether place $argv[1] is typed now, behind one of the verbs that follow
function _weft_at
    set -l plain (_weft_plain)
    test (count $plain) -eq $argv[1]; or return 1
    test $argv[1] -eq 0; or contains -- $plain[1] $argv[2..-1]
end

# the flags that say which network is meant, for asking weft
function _weft_given
    set -l words (commandline -opc)
    for i in (seq (count $words))
        if contains -- $words[$i] --config --node --run-dir --state-dir; and test $i -lt (count $words)
            printf '%s\\n' $words[$i] $words[(math $i + 1)]
        end
    end
end
`;
