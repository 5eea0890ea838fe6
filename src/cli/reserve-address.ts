/** `weft lease reserve WHO=IP`: one line more under `reservations:` of the cluster file. */
import { chownSync, readFileSync, statSync } from "node:fs";
import { type Config, loadConfig } from "../agent/config.ts";
import { writeDurable } from "../agent/durable-file.ts";
import { EXIT, type ExitCode, systemCodeOf, WeftError } from "../agent/errors.ts";
import { Refusal } from "../agent/host-port.ts";
import { withReservation } from "../agent/reservation-line.ts";
import { parseReservedBy, readReservations, reservedByText } from "../agent/reservations.ts";
import { type Ip, isIpv6, parseIp } from "../base/net.ts";
import { type CommandContext, textArg } from "./command.ts";
import { configSources, outputOptions, selectNetwork } from "./options.ts";
import { print } from "./output.ts";

const REST = "The same line belongs into every member's file; members read it when they start.";
/** Not ours, read-only, mounted alone into a container, or there is none beside the environment. */
const CANNOT_WRITE: readonly unknown[] = ["EACCES", "EPERM", "EROFS", "EBUSY", "ENOENT"];

interface Wish {
  /** As the file will say it. */
  readonly who: string;
  readonly ip: Ip;
}

export async function reserveAddress(context: CommandContext, text: string): Promise<ExitCode> {
  const { terminal, args } = context;
  const selection = selectNetwork(terminal, args, textArg(context, "network"));
  const wish = parseWish(text);
  checkWish(loadConfig(configSources(terminal, args, selection)), wish);
  const isWritten = writeWish(selection.file, wish);
  const line = `reservations:\n  ${wish.who}: ${wish.ip}\n`;
  print(terminal, outputOptions(args), { ...wish, file: selection.file, written: isWritten }, () =>
    isWritten
      ? `${wish.who} gets ${wish.ip}: written to ${selection.file}\n${REST}\n`
      : `${selection.file} cannot be written here; the line to add:\n${line}${REST}\n`,
  );
  return isWritten ? EXIT.ok : EXIT.permission;
}

function parseWish(text: string): Wish {
  const [who = "", address = "", ...rest] = text.split("=");
  const by = parseReservedBy(who);
  if (by instanceof Refusal) throw new WeftError("usage", by.text);
  const ip = parseIp(address);
  if (ip === undefined || isIpv6(ip) || rest.length > 0)
    throw new WeftError(
      "usage",
      `${JSON.stringify(address)} is no IPv4 address: write WHO=10.117.0.10`,
    );
  return { who: reservedByText(by), ip };
}

/** @throws WeftError when the file would not be accepted with it */
function checkWish(config: Config, { who, ip }: Wish): void {
  const others = config.reservations.filter(({ by }) => reservedByText(by) !== who);
  const written = Object.fromEntries(others.map((one) => [reservedByText(one.by), one.ip]));
  const [fault] = readReservations({ ...written, [who]: ip }, config).faults;
  if (fault !== undefined) throw new WeftError("config-invalid", fault.text);
}

/** Keeps mode and owner: the agent may run as somebody else. @returns false when it may not be written */
function writeWish(file: string, { who, ip }: Wish): boolean {
  try {
    const { mode, uid, gid } = statSync(file);
    writeDurable(file, withReservation(readFileSync(file, "utf8"), who, ip), mode & 0o777);
    const now = statSync(file);
    if (now.uid !== uid || now.gid !== gid) chownSync(file, uid, gid);
    return true;
  } catch (error) {
    if (CANNOT_WRITE.includes(systemCodeOf(error))) return false;
    throw error;
  }
}
