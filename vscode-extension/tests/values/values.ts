/** A value of each setting, and what the server's own code makes of values that it is sent. */

/** A value of each setting that is not its default. */
export const VALUES: Readonly<Record<string, unknown>> = {
  provider: "anthropic",
  model: "some-model",
  temperature: 0.5,
  maxTokens: 1000,
  timeout: 12.5,
  maxRetries: 1,
  baseUrl: "https://llm.example.com/v1",
  trustedHosts: ["llm.example.com"],
  apiVersion: "2024-10-21",
  deployment: "a-deployment",
  maxCostPerRun: 0.25,
  maxCostPerDay: 2,
  pricing: { "some-model": { input: 0.5, output: 1.5, cached_input: 0.1 } },
  dryRun: true,
  cache: false,
  cacheDir: ".osmosis",
  concurrency: 3,
  bulkThreshold: 5,
  maxSqlChars: 500,
  placeholders: ["see wiki"],
  private: ["secret"],
  styleGuide: "Start with a verb.",
  language: "French",
  schemaFile: "schema.yml",
  provenance: "meta",
  "diagnostics.severity": "warning",
  "codeLens.enable": false,
};

/** What the server makes of what it is sent: names in camel case, values as JSON. */
export const READ = `
import dataclasses, re
from decimal import Decimal
from pathlib import Path
from osmosis_synthesize.lsp.configuration import read_configuration
from osmosis_synthesize.settings import Settings, load_settings
from osmosis_synthesize.settings.fields import FIELDS

def plain(value):
    if isinstance(value, Decimal):
        return float(value)
    if isinstance(value, Path):
        return str(value)
    if hasattr(value, "_asdict"):
        return {name: plain(part) for name, part in value._asdict().items()}
    if hasattr(value, "items"):
        return {name: plain(part) for name, part in value.items()}
    return [plain(item) for item in value] if isinstance(value, tuple) else value

def camel(name):
    return re.sub("_(.)", lambda match: match[1].upper(), name)

read = read_configuration(given["settings"], given["options"])
project = Path(given["project"])
settings = load_settings(project, overrides=read.overrides, overrides_from="editor", environ={}) if read.overrides else Settings()
if settings.cache_dir is not None:
    settings = dataclasses.replace(settings, cache_dir=settings.cache_dir.relative_to(project.resolve()))
found = {camel(name): plain(getattr(settings, name)) for name in FIELDS}
found |= {"diagnostics.severity": read.severity, "codeLens.enable": read.code_lens}
json.dump({"found": found, "problems": read.problems}, sys.stdout)
`;

export interface Answer {
  readonly found: Readonly<Record<string, unknown>>;
  readonly problems: readonly string[];
}
