/** The configuration as an agent takes it at its start: what the authority pushed laid over the sources. */
import { type ConfigSources, loadConfig } from "../agent/config.ts";
import { type Whole, withPushed } from "../agent/pushed-part.ts";
import { loadSuite } from "./load-suite.ts";
import type { Terminal } from "./terminal.ts";

/**
 * A pushed part that cannot be used here is a warning, as for the agent, which goes by its own file then.
 *
 * @throws WeftError of `loadConfig`, state-unwritable, or config-invalid: access rules were pushed that
 * cannot be used here
 */
export async function loadWhole(terminal: Terminal, sources: ConfigSources): Promise<Whole> {
  const file = loadConfig(sources);
  if (file.authority === undefined) return { config: file };
  const whole = withPushed(await loadSuite(), file, (pushed) => loadConfig({ ...sources, pushed }));
  if (whole.problem !== undefined) terminal.err(`weft: warning: ${whole.problem}\n`);
  return whole;
}
