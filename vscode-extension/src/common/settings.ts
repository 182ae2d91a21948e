/** Which of the settings the server gets, and by which way. */

export const SECTION = "osmosis";

/** Settings of the extension itself by which it finds a server. */
export const OWN = ["serverPath", "interpreter"] as const;

/** Settings of the extension itself that no server has to be started anew for. */
export const OF_VIEWS = ["preview"] as const;

/**
 * Settings that the server takes from nowhere but the options that come with `initialize`. Where a key is sent (`baseUrl`,
 * `trustedHosts`) has the scope `machine`, so that no workspace can set it; what names a program counts in trusted ones only.
 */
export const AT_START = ["baseUrl", "trustedHosts", "dbtCommand"] as const;

/** Reads one setting as the user has set it; undefined where it was not. */
export type Lookup = (name: string) => unknown;

/** The names of all settings, from the manifest of the extension. */
export function settingNames(manifest: unknown): string[] {
  const { contributes } = manifest as { contributes: { configuration: { properties: Record<string, unknown> } } };
  return Object.keys(contributes.configuration.properties).map((name) => name.slice(SECTION.length + 1));
}

/** The options for `initialize`. */
export function initializationOptions(lookup: Lookup): Record<string, unknown> {
  return nested(AT_START, lookup);
}

/** The answer to `workspace/configuration`. */
export function serverSettings(names: readonly string[], lookup: Lookup): Record<string, unknown> {
  const others: readonly string[] = [...OWN, ...OF_VIEWS, ...AT_START];
  return nested(
    names.filter((name) => !others.includes(name)),
    lookup,
  );
}

function nested(names: readonly string[], lookup: Lookup): Record<string, unknown> {
  const settings: Record<string, unknown> = {};
  for (const name of names) {
    const value = lookup(name);
    if (value !== undefined && value !== null) {
      put(settings, name.split("."), value);
    }
  }
  return settings;
}

function put(settings: Record<string, unknown>, [first, ...rest]: string[], value: unknown): void {
  if (first === undefined) {
    return;
  }
  if (rest.length === 0) {
    settings[first] = value;
  } else {
    const inner = (settings[first] ??= {}) as Record<string, unknown>;
    put(inner, rest, value);
  }
}
