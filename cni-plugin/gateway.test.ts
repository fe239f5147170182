import { describe, expect, test } from "vitest";
import { parseNetworkConfig } from "./config.ts";
import { gatewayFor, needsBridgeGateway, ownRoutes, routesFor } from "./gateway.ts";

const ip = { address: "10.32.0.5/12", gateway: "10.32.0.1" };
const routes = (
  config: Record<string, unknown>,
  ips: { address: string; gateway?: string }[] = [ip],
): unknown => routesFor(ownRoutes(parseNetworkConfig(config)), ips);

describe("the bridge is asked for its address", () => {
  test.each<[boolean, string, Record<string, unknown>]>([
    [true, "no routes given", {}],
    [false, "no routes, but a gateway", { ipam: { gateway: "10.32.0.9" } }],
    [false, "no routes wanted", { ipam: { routes: [] } }],
    [false, "routes with gateways", { ipam: { routes: [{ dst: "10.0.0.0/8", gw: "10.32.0.9" }] } }],
    [true, "a route without gateway", { ipam: { routes: [{ dst: "10.0.0.0/8" }] } }],
    [true, "isGateway", { isGateway: true, ipam: { routes: [] } }],
    [true, "isDefaultGateway", { isDefaultGateway: true, ipam: { routes: [] } }],
  ])("%s: %s", (asked, _, config) => {
    expect(needsBridgeGateway(parseNetworkConfig(config))).toBe(asked);
  });
});

test("the gateway: configured, else the bridge's in the same subnet, else one of the family", () => {
  expect(gatewayFor("10.32.0.5/12", { gateway: "10.32.0.9" }, ["10.32.0.1/12"])).toBe("10.32.0.9");
  expect(gatewayFor("10.40.0.5/24", {}, ["10.32.0.1/24", "10.40.0.1/24"])).toBe("10.40.0.1");
  expect(gatewayFor("10.40.0.5/24", {}, ["fd00::1/64", "10.32.0.1/24"])).toBe("10.32.0.1");
  expect(gatewayFor("fd00::5/64", {}, ["10.32.0.1/24"])).toBeUndefined();
});

test("a default route for each family that has a gateway", () => {
  expect(routes({})).toEqual([{ dst: "0.0.0.0/0", gw: "10.32.0.1" }]);
  expect(routes({}, [ip, { address: "fd00::5/64", gateway: "fd00::1" }])).toEqual([
    { dst: "0.0.0.0/0", gw: "10.32.0.1" },
    { dst: "::/0", gw: "fd00::1" },
  ]);
  expect(routes({ ipam: { routes: [] } })).toEqual([]);
});

test("given routes get the gateway they lack, and no default route beside them unless asked for", () => {
  const ipam = { routes: [{ dst: "10.0.0.0/8" }, { dst: "192.168.0.0/16", gw: "10.32.0.7" }] };
  const given = [
    { dst: "10.0.0.0/8", gw: "10.32.0.1" },
    { dst: "192.168.0.0/16", gw: "10.32.0.7" },
  ];
  expect(routes({ ipam })).toEqual(given);
  expect(routes({ ipam, isDefaultGateway: true })).toEqual([...given, { dst: "0.0.0.0/0", gw: "10.32.0.1" }]);
});

test("a gateway outside the subnet is made reachable first", () => {
  expect(
    routes({ ipam: { gateway: "192.0.2.1" } }, [{ address: "10.32.0.5/12", gateway: "192.0.2.1" }]),
  ).toEqual([{ dst: "192.0.2.1/32" }, { dst: "0.0.0.0/0", gw: "192.0.2.1" }]);
});
