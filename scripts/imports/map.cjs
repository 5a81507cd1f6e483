'use strict';
/**
 * Draws the packages, and the floors (`floors.cjs`) of packages that have them, as Mermaid diagrams between markers in
 * a document.
 */

const { PACKAGES, importOf } = require('./floors.cjs');

/** Returns the document with its maps as the imports are now. Throws if the markers of a map are missing in it. */
function withMaps(text, modules) {
  let drawn = replaceMap(text, 'packages', drawPackages(modules));
  for (const each of PACKAGES) {
    if (each.floors) drawn = replaceMap(drawn, each.folder, drawFloors(each, modules));
  }
  return drawn;
}

function replaceMap(text, name, map) {
  const start = `<!-- map of ${name}: made by npm run map -->\n`;
  const end = '<!-- end of map -->';
  const from = text.indexOf(start);
  const to = text.indexOf(end, from);
  if (from < 0 || to < 0)
    throw new Error(`the document has no place for the map of ${name}: add the lines '${start.trim()}' and '${end}'`);
  return text.slice(0, from) + start + map + text.slice(to);
}

function drawPackages(modules) {
  const patterns = PACKAGES.map((each) => new RegExp(importOf(each)));
  const nodeOf = (file) => PACKAGES[patterns.findIndex((pattern) => pattern.test(file))]?.folder;
  return draw(PACKAGES.map(({ folder }) => folder).reverse(), findEdges(modules, nodeOf));
}

function drawFloors({ folder, floors }, modules) {
  const names = floors.flat();
  const nodeOf = (file) => names.find((name) => file.startsWith(`${folder}/src/${name}/`));
  return draw(names.reverse(), findEdges(modules, nodeOf));
}

/** Returns, for each node of the map, the nodes that it imports. */
function findEdges(modules, nodeOf) {
  const edges = new Map();
  for (const { source, dependencies } of modules) {
    const from = source.includes('/src/') ? nodeOf(source) : undefined;
    if (from === undefined) continue;
    const targets = edges.get(from) ?? new Set();
    edges.set(from, targets);
    for (const { resolved } of dependencies) {
      const to = nodeOf(resolved);
      if (to !== undefined && to !== from) targets.add(to);
    }
  }
  return edges;
}

/** Draws each import as an arrow. An arrow from one node to another is left out if other arrows lead there as well. */
function draw(names, edges) {
  const lines = ['```mermaid', 'flowchart TD'];
  for (const name of names) lines.push(`  ${idOf(name)}["${name}"]`);
  for (const from of names) {
    const targets = [...(edges.get(from) ?? [])];
    const direct = targets.filter((to) => !targets.some((other) => other !== to && leadsTo(edges, other, to)));
    for (const to of names.filter((name) => direct.includes(name))) lines.push(`  ${idOf(from)} --> ${idOf(to)}`);
  }
  return `${[...lines, '```'].join('\n')}\n`;
}

function leadsTo(edges, from, to, seen = new Set()) {
  if (seen.has(from)) return false;
  seen.add(from);
  const targets = [...(edges.get(from) ?? [])];
  return targets.includes(to) || targets.some((each) => leadsTo(edges, each, to, seen));
}

/** Returns a node's id in Mermaid. The name itself could be a keyword of Mermaid, such as `end`. */
function idOf(name) {
  return `n_${name.replace(/\W/g, '_')}`;
}

module.exports = { withMaps };
