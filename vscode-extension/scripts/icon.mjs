/** Makes images/icon.png from images/icon.svg. */

import { readFileSync } from "node:fs";
import path from "node:path";
import { chromium } from "playwright-core";

const images = path.resolve(import.meta.dirname, "../images");
const browser = await chromium.launch({ executablePath: "/usr/bin/chromium", args: ["--no-sandbox"] });
const page = await browser.newPage({ viewport: { width: 128, height: 128 } });
const svg = readFileSync(path.join(images, "icon.svg"), "utf8");
await page.setContent(`<style>body { margin: 0 } svg { display: block }</style>${svg}`);
await page.screenshot({ path: path.join(images, "icon.png"), omitBackground: true });
await browser.close();
