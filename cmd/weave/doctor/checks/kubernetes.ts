// Whether Kubernetes means the same addresses by "pods" as weave does, and others by "services".
import { contains, overlaps, parseCidr } from "../../../../src/core/address/cidr.ts";
import { BRIDGE } from "../../../../src/daemon/config.ts";
import type { Part } from "../../../../src/kernel/survey/parts.ts";
import { quote } from "../../cni/finding.ts";
import { defineCheck, type Verdict } from "../check.ts";
import { type ClusterSetting, clusterSettings } from "../facts/kubernetes.ts";
import { listProcesses } from "../facts/processes.ts";
import type { Finding } from "../finding.ts";
import { freeRange, type RangeFact, rangeOf } from "./range.ts";

export interface KubernetesFacts {
  readonly settings: readonly ClusterSetting[];
  readonly range: RangeFact;
  readonly routes: Part<"host">["routes"];
}

export const kubernetes = defineCheck<KubernetesFacts>(
  "kubernetes",
  async (around) => ({
    settings: clusterSettings(around.root, listProcesses(around.root)),
    range: await rangeOf(around),
    routes: (await around.kernel("host")).routes,
  }),
  judgeKubernetes,
);

export function judgeKubernetes({ settings, range, routes }: KubernetesFacts): Verdict {
  const services = settings.filter(({ of }) => of === "services").flatMap(({ cidrs }) => cidrs);
  const routed = routes.filter(({ dev }) => dev !== BRIDGE).map(({ dst }) => dst);
  const free = freeRange([...services, ...routed].flatMap((text) => parseCidr(text) ?? []));
  const launch = `weave launch --ipalloc-range ${free}`;
  const findings = settings.flatMap((setting) =>
    range.cidrs.flatMap((text) =>
      setting.of === "pods"
        ? (aboutPods(setting, text, range) ?? [])
        : (aboutServices(setting, text, isUsed(range) ? `weave stop; ${launch}` : launch) ?? []),
    ),
  );
  const pods = new Set(settings.filter(({ of }) => of === "pods").flatMap(({ cidrs }) => cidrs));
  const told = pods.size === 0 ? "names no addresses of pods" : `pods have ${[...pods].join(", ")}`;
  return { findings, saw: settings.length === 0 ? "nothing of it here" : told };
}

/** The range must lie within what Kubernetes was told, in each family it was told of. */
function aboutPods(setting: ClusterSetting, text: string, range: RangeFact): Finding | undefined {
  const own = parseCidr(text);
  const told = setting.cidrs.flatMap((cidr) => parseCidr(cidr) ?? []);
  const same = told.filter(({ family }) => family === own?.family);
  if (own === undefined || same.length === 0 || same.some((cidr) => contains(cidr, own))) return undefined;
  const { where, program, name, cidrs } = setting;
  return {
    code: "cluster-cidr",
    object: where,
    message: `${program} has ${name} ${cidrs.join()} (${where}), and the range of weave is ${text}: traffic of pods counts as coming from outside the cluster and is masqueraded`,
    command: isUsed(range) ? toTellKubernetes(setting, text) : `weave launch --ipalloc-range ${cidrs.join()}`,
  };
}

/** A network with these addresses is there already. */
const isUsed = ({ from }: RangeFact): boolean => from === "weaver" || from === "firewall table";

function toTellKubernetes({ where, program, name, cidrs }: ClusterSetting, text: string): string {
  if (where.startsWith("/var/lib/kubelet/") || where.startsWith("process ") || program === "kube-proxy") {
    return program === "kube-proxy"
      ? "kubectl -n kube-system edit configmap kube-proxy && kubectl -n kube-system rollout restart daemonset kube-proxy"
      : `systemctl edit --full ${program.split(" ")[0]}`;
  }
  return `sed -i ${quote(`/${name}/s|${cidrs.join()}|${text}|`)} ${quote(where)}`;
}

function aboutServices(
  { where, program, name, cidrs }: ClusterSetting,
  text: string,
  command: string,
): Finding | undefined {
  const own = parseCidr(text);
  const hit = cidrs.find((each) => {
    const cidr = parseCidr(each);
    return cidr !== undefined && own !== undefined && overlaps(cidr, own);
  });
  if (hit === undefined) return undefined;
  return {
    code: "service-cidr",
    object: where,
    message: `${program} has ${name} ${hit} (${where}), which overlaps the range ${text}: a pod may get the address of a service; take another range, the same on every host`,
    command,
  };
}
