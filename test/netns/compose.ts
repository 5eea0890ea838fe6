/**
 * Plays a compose file with podman, without docker compose: what stands in the file is what runs. A
 * key that it does not know ends the test, so that the file cannot grow past it.
 */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { parse } from "yaml";
import { z } from "zod";
import type { Podman } from "./podman.ts";

const serviceSchema = z.strictObject({
  image: z.string(),
  build: z.strictObject({ context: z.string(), dockerfile: z.string() }).optional(),
  init: z.boolean().default(false),
  entrypoint: z.array(z.string()).min(1).optional(),
  healthcheck: z.strictObject({ disable: z.literal(true) }).optional(),
  command: z.array(z.string()).default([]),
  networks: z.array(z.string()).default([]),
  network_mode: z
    .string()
    .regex(/^service:[a-z0-9-]+$/)
    .optional(),
  cap_add: z.array(z.string()).default([]),
  devices: z.array(z.string()).default([]),
  environment: z.record(z.string(), z.string()).default({}),
  secrets: z.array(z.string()).default([]),
  volumes: z.array(z.string()).default([]),
  restart: z.literal("unless-stopped").optional(),
  depends_on: z.array(z.string()).default([]),
});

/** Addresses that the network itself gives; podman and Docker choose them where none are named. */
const networkSchema = z.strictObject({
  ipam: z.strictObject({ config: z.tuple([z.strictObject({ subnet: z.string() })]) }).optional(),
});

const fileSchema = z.strictObject({
  services: z.record(z.string(), serviceSchema),
  networks: z.record(z.string(), networkSchema).default({}),
  volumes: z.record(z.string(), z.strictObject({})).default({}),
  secrets: z.record(z.string(), z.strictObject({ file: z.string() })).default({}),
});

type Service = z.infer<typeof serviceSchema>;

export class Compose {
  readonly services: Readonly<Record<string, Service>>;
  readonly #file: z.infer<typeof fileSchema>;
  readonly #podman: Podman;
  readonly #secrets: string;

  /** @param secrets the folder that stands for the compose file's own when it names files of secrets */
  constructor(podman: Podman, file: string, secrets: string) {
    const raw = parse(readFileSync(file, "utf8"), { merge: true });
    const known = Object.entries(raw).filter(([key]) => !key.startsWith("x-"));
    this.#file = fileSchema.parse(Object.fromEntries(known));
    this.services = this.#file.services;
    this.#podman = podman;
    this.#secrets = secrets;
  }

  async up(): Promise<void> {
    for (const [network, { ipam }] of Object.entries(this.#file.networks)) {
      const subnets = (ipam?.config ?? []).flatMap(({ subnet }) => ["--subnet", subnet]);
      await this.#podman.run(["network", "create", ...subnets, network]);
    }
    for (const volume of Object.keys(this.#file.volumes))
      await this.#podman.run(["volume", "create", volume]);
    for (const name of this.#inOrder()) await this.#podman.start(this.argumentsOf(name));
  }

  /** What `podman run` is given for one service. */
  argumentsOf(name: string): string[] {
    const service = this.#service(name);
    const [program, ...rest] = service.entrypoint ?? [];
    return [
      ...["--name", name, "--hostname", name].slice(0, service.network_mode === undefined ? 4 : 2),
      ...this.#network(service),
      ...(service.init ? ["--init"] : []),
      ...(service.healthcheck === undefined ? [] : ["--no-healthcheck"]),
      ...(service.restart === undefined ? [] : ["--restart", service.restart]),
      ...service.cap_add.flatMap((capability) => ["--cap-add", capability]),
      ...service.devices.flatMap((device) => ["--device", device]),
      ...Object.entries(service.environment).flatMap(([key, value]) => [
        "--env",
        `${key}=${value}`,
      ]),
      ...service.volumes.flatMap((volume) => ["--volume", volume]),
      ...service.secrets.flatMap((secret) => this.#secret(secret)),
      ...(program === undefined ? [] : ["--entrypoint", program]),
      service.image,
      ...rest,
      ...service.command,
    ];
  }

  #network({ network_mode: mode, networks }: Service): string[] {
    if (mode !== undefined) return ["--network", mode.replace("service:", "container:")];
    return networks.length === 0 ? [] : ["--network", networks.join(",")];
  }

  /** Readable for all, as docker compose mounts it. */
  #secret(name: string): string[] {
    const file = this.#file.secrets[name]?.file;
    if (file === undefined) throw new Error(`no secret ${name}`);
    return ["--volume", `${join(this.#secrets, file)}:/run/secrets/${name}:ro`];
  }

  #inOrder(): string[] {
    const order: string[] = [];
    const visit = (name: string): void => {
      if (order.includes(name)) return;
      for (const before of this.#service(name).depends_on) visit(before);
      order.push(name);
    };
    for (const name of Object.keys(this.services)) visit(name);
    return order;
  }

  #service(name: string): Service {
    const service = this.services[name];
    if (service === undefined) throw new Error(`no service ${name}`);
    return service;
  }
}
