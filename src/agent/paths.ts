/** Where files live: the system's folders for root, XDG's for everybody else; all overridable. */
import { join } from "node:path";

export type Env = Readonly<Record<string, string | undefined>>;

export interface Folders {
  /** Cluster files NAME.yaml. */
  readonly configDir: string;
  /** Parent of one folder NAME per network: identity.key, state.json, boot. */
  readonly stateDir: string;
  /** Control sockets NAME.sock. */
  readonly runDir: string;
}

export function defaultFolders(env: Env, uid: number): Folders {
  const folders = uid === 0 ? systemFolders() : userFolders(env, uid);
  return { ...folders, configDir: env["WEFT_CONFIG_DIR"] ?? folders.configDir };
}

function systemFolders(): Folders {
  return { configDir: "/etc/weft", stateDir: "/var/lib/weft", runDir: "/run/weft" };
}

function userFolders(env: Env, uid: number): Folders {
  const home = env["HOME"] ?? `/tmp/weft-${uid}`;
  return {
    configDir: join(env["XDG_CONFIG_HOME"] ?? join(home, ".config"), "weft"),
    stateDir: join(env["XDG_STATE_HOME"] ?? join(home, ".local/state"), "weft"),
    runDir: join(env["XDG_RUNTIME_DIR"] ?? join(home, ".local/run"), "weft"),
  };
}

export function clusterFile(folders: Folders, network: string): string {
  return join(folders.configDir, `${network}.yaml`);
}

export function socketPath(runDir: string, network: string): string {
  return join(runDir, `${network}.sock`);
}

/** `weft-NAME`, cut to the 15 bytes the kernel allows. */
export function defaultInterface(network: string): string {
  return `weft-${network}`.slice(0, 15).replace(/-+$/, "");
}

/** The host name as a node name: first label, lower case, other characters turned into `-`. */
export function nodeNameFromHost(hostname: string): string {
  const label = (hostname.split(".")[0] ?? "").toLowerCase().replace(/[^a-z0-9-]/g, "-");
  return label.slice(0, 63).replace(/^-+|-+$/g, "") || "node";
}
