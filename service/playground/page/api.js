// The service's API, asked as any client asks it. The key is kept in this module's memory and nowhere else.

let key = "";

export const setKey = (value) => { key = value.trim(); };
export const hasKey = () => key !== "";

/** What the service, or the way to it, says went wrong. `status` is 0 where nothing answered. */
export class ApiError extends Error {
  constructor(message, status, retryAfterS = null) {
    super(message);
    this.status = status;
    this.retryAfterS = retryAfterS;
  }
}

/** An absolute URL of the service, which may stand behind a proxy's prefix. */
export const url = (path) => new URL(path, document.baseURI).href;

/** The answer's JSON. Throws ApiError, or the AbortError of `signal`. */
export async function ask(path, { body = null, signal = null } = {}) {
  const headers = key ? { Authorization: `Bearer ${key}` } : {};
  if (body) headers["Content-Type"] = "application/json";
  const options = { method: body ? "POST" : "GET", headers, signal, body: body && JSON.stringify(body) };
  let answer;
  try {
    answer = await fetch(url(path), options);
    if (answer.ok) return await answer.json();
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new ApiError("The server cannot be reached.", 0);
  }
  throw await problem(answer);
}

async function problem(answer) {
  const retryAfterS = Number(answer.headers.get("Retry-After")) || null;
  let message = `The server answered ${answer.status} ${answer.statusText}.`;
  try {
    message = (await answer.json()).error.message;
  } catch {
    // Not in the service's own shape: something in between answered.
  }
  return new ApiError(message, answer.status, retryAfterS);
}

export const models = async () => (await ask("v1/models")).data;

/** An input as `/v1/embeddings` takes it. */
export const asInput = (input) => (input.kind === "image" ? { image: input.base64 } : { text: input.text });

/** One input's `{embedding, truncated, attention}`. */
export async function embed(model, input, attention, signal) {
  const body = { model: model.id, input: [asInput(input)], ...(attention && { attention }) };
  return (await ask("v1/embeddings", { body, signal })).data[0];
}

export const match = (model, inputs, signal) =>
  ask("v1/attention/match", { body: { model: model.id, inputs: inputs.map(asInput), pairs: true }, signal });
