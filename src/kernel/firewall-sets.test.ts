// Port maps as elements: written, and read back as what they were.
import { expect, test } from "vitest";
import type { PortMap } from "../core/datapath/state.ts";
import {
  describeChanges,
  differences,
  EMPTY_TABLE,
  portMapFrom,
  portMapsOf,
  setsOf,
} from "./firewall-sets.ts";

const withMaps = (...portMaps: PortMap[]) => ({ ...EMPTY_TABLE, portMaps });

test.each<PortMap>([
  { protocol: "tcp", hostPort: 8080, address: "10.32.0.5", port: 80 },
  { protocol: "udp", hostPort: 65535, address: "fd32::5", port: 1 },
  { protocol: "sctp", hostAddress: "192.0.2.1", hostPort: 1, address: "10.32.0.5", port: 65535 },
  { protocol: "tcp", hostAddress: "2001:db8::1", hostPort: 443, address: "fd32::5", port: 8443 },
])("%j is read back", (map) => {
  const family = map.address.includes(":") ? 6 : 4;
  const elements = setsOf(withMaps(map))
    .filter(({ kind }) => kind === "map")
    .flatMap((set) => [...set.elements.values()].flat());
  expect(elements.map((element) => portMapFrom(element, family))).toEqual([map]);
  expect(elements.map((element) => portMapFrom(element, family === 4 ? 6 : 4))).toEqual([undefined]);
});

test("any address of the host may be spelled out; one of the other family maps nothing", () => {
  const map = { protocol: "tcp", hostPort: 80, address: "10.32.0.5", port: 80 } as const;
  for (const hostAddress of ["0.0.0.0", "::"])
    expect(portMapsOf(withMaps({ ...map, hostAddress }), 4)).toEqual([map]);
  expect(portMapsOf(withMaps({ ...map, hostAddress: "2001:db8::1" }), 4)).toEqual([]);
  expect(portMapsOf(withMaps(map), 6)).toEqual([]);
  expect(() => setsOf(withMaps({ ...map, address: "10.32.0.5 }; flush ruleset" }))).toThrow("not an address");
});

test("two ports to one place: the place stays while one of them does", () => {
  const one = { protocol: "tcp", hostPort: 80, address: "10.32.0.5", port: 80 } as const;
  const two = { ...one, hostPort: 8080 };
  const changes = differences(setsOf(withMaps(one, two)), setsOf(withMaps(two)));
  expect(changes.map(({ state }) => state.name)).toEqual(["ports4"]);
  expect(describeChanges(changes)).toEqual(["nft port del tcp . 80 : 10.32.0.5 . 80"]);
});
