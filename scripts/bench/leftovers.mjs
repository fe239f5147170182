// What containers that are gone must not leave: addresses, links, elements of the firewall, interfaces in their namespaces.

import { linksOf } from "./place.mjs";

/** Everything of containers that there is, one line each. */
export async function leftovers(weave, containers) {
  const { ipam, endpoints } = await weave.status();
  const addresses = ipam.map(({ range, used }) => `${used} addresses of ${range} in use`);
  const names = endpoints.map(({ address, label }) => `endpoint ${address} (${label})`);
  const links = (await weave.links()).map((name) => `link ${name} on the host`);
  return [
    ...addresses,
    ...names,
    ...links,
    ...firewall(await weave.nftables()),
    ...(await inside(containers)),
  ];
}

/** Elements of maps and sets, one line each. */
function firewall({ nftables }) {
  return nftables.flatMap(({ set, map }) => {
    const { name, elem = [] } = set ?? map ?? {};
    return elem.map((element) => `element ${JSON.stringify(element)} of ${name}`);
  });
}

async function inside(containers) {
  const lines = [];
  for (const netns of containers) {
    for (const name of await linksOf(netns)) if (name !== "lo") lines.push(`link ${name} in ${netns}`);
  }
  return lines;
}
