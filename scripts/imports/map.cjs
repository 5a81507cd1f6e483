'use strict';
/** Draws the packages, and the floors of those that have any, as Mermaid diagrams between markers in a document. */

const { PACKAGES, importOf } = require('./floors.cjs');

/** A document with its maps as the imports are now. Throws where a map has no place in it. */
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
  if (from < 0 || to < 0) throw new Error(`there is no place for the map of ${name}`);
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

/** Which node imports which others. */
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

/** An arrow is an import; one that others lead to as well is left out. */
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

/** Some names, `end` among them, are words of Mermaid's. */
function idOf(name) {
  return `n_${name.replace(/\W/g, '_')}`;
}

module.exports = { withMaps };
