/** The variable of the environment in which the server looks for each provider's key. A test compares it with the server's. */

const OWN: Readonly<Record<string, string>> = {
  openai: "OPENAI_API_KEY",
  azure: "AZURE_OPENAI_API_KEY",
  anthropic: "ANTHROPIC_API_KEY",
  ollama: "OLLAMA_API_KEY",
  gemini: "GEMINI_API_KEY",
  openrouter: "OPENROUTER_API_KEY",
};

/** Providers that have no variable of their own: `OPENAI_API_KEY` is meant for OpenAI, and not for whatever server this is. */
const SHARED = "OSMOSIS_LLM_API_KEY";
const WITHOUT_OWN = ["openai-compatible", "lm-studio", "vllm", "llama.cpp"];

/** The providers for which a key can be set. */
export const PROVIDERS: readonly string[] = [...Object.keys(OWN), ...WITHOUT_OWN];

/** For a provider of a third party it is made from its name, as the server does. */
export function keyVariable(provider: string): string {
  if (WITHOUT_OWN.includes(provider)) {
    return SHARED;
  }
  return OWN[provider] ?? `${provider.toUpperCase().replaceAll(/[^A-Z0-9]+/g, "_")}_API_KEY`;
}
