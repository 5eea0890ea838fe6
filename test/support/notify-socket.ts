/** The service manager's end of sd_notify: a Unix datagram socket that writes down what it hears. */
import { start } from "../../lab/shell.ts";

const LISTEN = `
import socket, sys
s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
path = sys.argv[1]
s.bind("\\0" + path[1:] if path.startswith("@") else path)
print("listening", flush=True)
while True:
    for line in s.recv(65536).decode().split("\\n"):
        print(line, flush=True)
    print("--", flush=True)
`;

export class NotifySocket {
  readonly path: string;
  readonly #running;

  /** @param path a file that is not there yet, or `@name` */
  constructor(path: string) {
    this.path = path;
    this.#running = start(["python3", "-c", LISTEN, path]);
  }

  get isListening(): boolean {
    return this.#running.output.startsWith("listening\n");
  }

  /** One item for each datagram, its lines. */
  get heard(): string[][] {
    const text = this.#running.output.replace(/^listening\n/, "");
    return text
      .split("--\n")
      .slice(0, -1)
      .map((datagram) => datagram.split("\n").slice(0, -1));
  }

  get lines(): string[] {
    return this.heard.flat();
  }

  async end(): Promise<void> {
    await this.#running.stop("SIGKILL");
  }
}
