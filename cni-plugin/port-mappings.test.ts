import { describe, expect, test } from "vitest";
import { parsePorts } from "./port-mappings.ts";

const ports = (...portMappings: unknown[]): unknown => parsePorts(undefined, { portMappings });
const refused = (code: number, ...words: string[]): Error =>
  expect.objectContaining({ code, message: expect.stringMatching(new RegExp(words.join(".*"))) }) as Error;

test("in any case of letters; tcp unless said; an empty host address is every one", () => {
  const expected = [{ protocol: "tcp", hostPort: 8080, containerPort: 80 }];
  expect(ports({ hostPort: 8080, containerPort: 80 })).toEqual(expected);
  expect(ports({ HostPort: 8080, ContainerPort: 80, Protocol: "TCP", HostIP: "" })).toEqual(expected);
  expect(ports({ hostPort: 53, containerPort: 53, protocol: "udp", hostIP: "fd00:0::1" })).toEqual([
    { protocol: "udp", hostAddress: "fd00::1", hostPort: 53, containerPort: 53 },
  ]);
});

test("Mesos' own names, and only where the runtime gives no list", () => {
  const args = {
    "org.apache.mesos": {
      network_info: { port_mappings: [{ host_port: 9090, container_port: 90, protocol: "sctp" }] },
    },
  };
  expect(parsePorts(args, undefined)).toEqual([{ protocol: "sctp", hostPort: 9090, containerPort: 90 }]);
  expect(parsePorts(args, { portMappings: [] })).toHaveLength(1);
  expect(parsePorts(args, { portMappings: [{ hostPort: 1, containerPort: 2 }] })).toMatchObject([
    { hostPort: 1 },
  ]);
});

test("without host port nothing is asked for; repetitions are one", () => {
  const one = { hostPort: 8080, containerPort: 80 };
  expect(
    ports({ containerPort: 80 }, { hostPort: 0, containerPort: 80 }, one, { ...one, protocol: "tcp" }),
  ).toHaveLength(1);
});

describe("refused", () => {
  test.each<[number, string, unknown]>([
    [7, "portMappings\\[0\\].hostPort.*65536", { hostPort: 65_536, containerPort: 80 }],
    [7, "containerPort.*0", { hostPort: 80, containerPort: 0 }],
    [7, "hostPort", { hostPort: "80", containerPort: 80 }],
    [7, "icmp", { hostPort: 80, containerPort: 80, protocol: "icmp" }],
    [7, "hostIP.*x", { hostPort: 80, containerPort: 80, hostIP: "x" }],
    [2, "hostIP=.*::1", { hostPort: 80, containerPort: 80, hostIP: "::1" }],
  ])("code %i: %s", (code, words, mapping) => {
    expect(() => ports(mapping)).toThrow(refused(code, words));
  });

  test("more than can be meant", () => {
    const many = Array.from({ length: 4097 }, (_, i) => ({ hostPort: i + 1, containerPort: 80 }));
    expect(() => ports(...many)).toThrow(refused(7, "4097"));
  });

  test("what is no list", () => {
    expect(() => parsePorts(undefined, { portMappings: {} })).toThrow(refused(7, "portMappings"));
  });
});
