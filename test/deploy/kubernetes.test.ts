/** The manifest is what Kubernetes would take: the fields it uses, each where it belongs, nothing else. */
import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { describe, expect, it } from "vitest";
import { parse } from "yaml";
import { z } from "zod";

const FILE = fileURLToPath(new URL("../../deploy/kubernetes/daemonset.yaml", import.meta.url));
const labels = z.record(z.string().regex(/^([a-z0-9.-]+\/)?[A-Za-z0-9_.-]{1,63}$/), z.string());
const probe = z.strictObject({
  exec: z.strictObject({ command: z.array(z.string()).min(1) }),
  initialDelaySeconds: z.number().int().optional(),
  periodSeconds: z.number().int(),
  timeoutSeconds: z.number().int(),
  failureThreshold: z.number().int().optional(),
});
const quantities = z.strictObject({
  cpu: z
    .string()
    .regex(/^\d+m$/)
    .optional(),
  memory: z.string().regex(/^\d+Mi$/),
});
/** The part of apps/v1 DaemonSet and core/v1 PodSpec that the manifest uses, types as in the API reference. */
const daemonSet = z.strictObject({
  apiVersion: z.literal("apps/v1"),
  kind: z.literal("DaemonSet"),
  metadata: z.strictObject({ name: z.string(), namespace: z.string(), labels }),
  spec: z.strictObject({
    selector: z.strictObject({ matchLabels: labels }),
    updateStrategy: z.strictObject({
      type: z.enum(["RollingUpdate", "OnDelete"]),
      rollingUpdate: z.strictObject({ maxUnavailable: z.number().int() }),
    }),
    template: z.strictObject({
      metadata: z.strictObject({ labels }),
      spec: z.strictObject({
        hostNetwork: z.boolean(),
        dnsPolicy: z.enum(["ClusterFirst", "ClusterFirstWithHostNet", "Default", "None"]),
        automountServiceAccountToken: z.boolean(),
        enableServiceLinks: z.boolean(),
        priorityClassName: z.string(),
        terminationGracePeriodSeconds: z.number().int(),
        nodeSelector: labels,
        tolerations: z.array(z.strictObject({ operator: z.enum(["Exists", "Equal"]) })),
        containers: z.array(
          z.strictObject({
            name: z.string(),
            image: z.string(),
            args: z.array(z.string()),
            securityContext: z.strictObject({
              runAsUser: z.number().int(),
              allowPrivilegeEscalation: z.boolean(),
              capabilities: z.strictObject({
                drop: z.array(z.string()),
                add: z.array(z.string().regex(/^[A-Z_]+$/)),
              }),
            }),
            readinessProbe: probe,
            livenessProbe: probe,
            resources: z.strictObject({ requests: quantities, limits: quantities }),
            volumeMounts: z.array(
              z.strictObject({
                name: z.string(),
                mountPath: z.string().startsWith("/"),
                readOnly: z.boolean().optional(),
              }),
            ),
          }),
        ),
        volumes: z.array(
          z.strictObject({
            name: z.string(),
            secret: z
              .strictObject({ secretName: z.string(), defaultMode: z.number().int() })
              .optional(),
            hostPath: z
              .strictObject({
                path: z.string().startsWith("/"),
                type: z.enum(["DirectoryOrCreate", "Directory", "CharDevice"]),
              })
              .optional(),
          }),
        ),
      }),
    }),
  }),
});

describe("deploy/kubernetes/daemonset.yaml", () => {
  // Kubernetes reads YAML 1.1, where 0400 is octal
  const manifest = daemonSet.parse(parse(readFileSync(FILE, "utf8"), { version: "1.1" }));
  const pod = manifest.spec.template.spec;

  it("selects its own pods", () => {
    expect(manifest.spec.template.metadata.labels).toMatchObject(
      manifest.spec.selector.matchLabels,
    );
  });

  it("mounts each volume, and only volumes that it has", () => {
    const mounted = pod.containers.flatMap((one) => one.volumeMounts.map(({ name }) => name));
    expect([...mounted].sort()).toEqual(pod.volumes.map(({ name }) => name).sort());
    for (const { secret, hostPath } of pod.volumes)
      expect([secret, hostPath].filter((source) => source !== undefined)).toHaveLength(1);
  });

  it("gives the key's file to nobody else", () => {
    const [secret] = pod.volumes.flatMap((volume) => volume.secret ?? []);
    expect(secret?.defaultMode).toBe(0o400);
  });

  it("names the version of this package", () => {
    const own = JSON.parse(
      readFileSync(fileURLToPath(new URL("../../package.json", import.meta.url)), "utf8"),
    );
    expect(pod.containers[0]?.image).toBe(`weft:${own.version}`);
  });
});
