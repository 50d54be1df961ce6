// The pages of a running `zoo serve` in a real Chromium, wide and on a phone, light and dark:
// no violation that axe finds, no word on the console, no request elsewhere, no sideways scroll.
//
//     npm install --prefix benchmarks/pages
//     node benchmarks/pages/check.mjs http://127.0.0.1:8080 [/usr/bin/chromium] [FOLDER for screenshots]

import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import puppeteer from "puppeteer-core";

const [base, chromium = "/usr/bin/chromium", shots] = process.argv.slice(2);
const axe = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");
const RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"];
const SIZES = [[1280, 900], [360, 800], [320, 700]]; // CSS pixels
const SCHEMES = ["light", "dark"];

const browser = await puppeteer.launch({ executablePath: chromium, args: ["--no-sandbox"] });
const paths = ["/", "/?search=nothing-at-all", "/?max_size_mb=x", "/nobody/nothing", "/api"];
const list = await (await fetch(`${base}/api/zoo/models`)).json();
paths.push(...list.models.map((model) => `/${model.repo}`));

let checks = 0;
let failed = 0;
for (const path of paths) {
  for (const [width, height] of SIZES) {
    for (const scheme of SCHEMES) {
      const problems = await look(path, width, height, scheme);
      checks += 1;
      failed += problems.length > 0;
      for (const problem of problems) console.log(`${path} ${width} ${scheme}: ${problem}`);
    }
  }
}
await browser.close();
console.log(`${checks} checks of ${paths.length} pages, ${failed} with problems`);
process.exitCode = failed > 0 ? 1 : 0;

async function look(path, width, height, scheme) {
  const page = await browser.newPage();
  const problems = [];
  let status = 0;
  page.on("pageerror", (error) => problems.push(`error: ${error}`));
  page.on("request", (request) => {
    if (!request.url().startsWith(base)) problems.push(`asks ${request.url()}`);
  });
  page.on("console", (message) => {
    const wanted = status >= 400 && message.text().startsWith("Failed to load resource");
    if (!wanted) problems.push(`console: ${message.text()}`);
  });
  page.on("response", (response) => {
    if (response.url() === `${base}${path}`) status = response.status();
  });
  const phone = width < 500;
  await page.setViewport({ width, height, isMobile: phone, hasTouch: phone });
  await page.emulateMediaFeatures([{ name: "prefers-color-scheme", value: scheme }]);
  await page.goto(`${base}${path}`, { waitUntil: "networkidle0" });
  const wide = await page.evaluate(() => document.documentElement.scrollWidth);
  if (wide > width) problems.push(`scrolls sideways: ${wide} pixels`);
  if (shots) {
    const name = path.replace(/[^a-z0-9.]+/gi, "_");
    await page.screenshot({ path: `${shots}/${name}-${width}-${scheme}.png`, fullPage: true });
  }
  await page.setBypassCSP(true); // for axe alone, after the page has shown itself
  await page.evaluate(axe);
  const found = await page.evaluate((rules) => globalThis.axe.run({ runOnly: rules }), RULES);
  for (const { id, nodes } of found.violations) {
    problems.push(`axe ${id}, ${nodes.length} times: ${nodes[0].html.slice(0, 120)}`);
  }
  await page.close();
  return problems;
}
