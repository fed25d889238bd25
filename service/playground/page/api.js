// Client of the service's API. The key is kept in this module's memory only.

let key = "";

export const setKey = (value) => { key = value.trim(); };
export const hasKey = () => key !== "";

/** Error of the service or the network; `status` is 0 without a response. */
export class ApiError extends Error {
  constructor(message, status, retryAfterS = null) {
    super(message);
    this.status = status;
    this.retryAfterS = retryAfterS;
  }
}

/** An absolute URL of the service, which may stand behind a proxy's prefix. */
export const url = (path) => new URL(path, document.baseURI).href;

/** Return the response's JSON. Throws ApiError, or the AbortError of `signal`. */
export async function request(path, { body = null, signal = null } = {}) {
  const headers = key ? { Authorization: `Bearer ${key}` } : {};
  if (body) headers["Content-Type"] = "application/json";
  const options = { method: body ? "POST" : "GET", headers, signal, body: body && JSON.stringify(body) };
  let response;
  try {
    response = await fetch(url(path), options);
    if (response.ok) return await response.json();
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new ApiError("The server cannot be reached.", 0);
  }
  throw await toApiError(response);
}

async function toApiError(response) {
  const retryAfterS = Number(response.headers.get("Retry-After")) || null;
  let message = `The server answered ${response.status} ${response.statusText}.`;
  try {
    message = (await response.json()).error.message;
  } catch {
    // Not in the service's format: a proxy responded.
  }
  return new ApiError(message, response.status, retryAfterS);
}

export const fetchModels = async () => (await request("v1/models")).data;

/** An input as `/v1/embeddings` takes it. */
export const toInputField = (input) => (input.kind === "image" ? { image: input.base64 } : { text: input.text });

/** One input's `{embedding, truncated, attention}`. */
export async function embed(model, input, attention, signal) {
  const body = { model: model.id, input: [toInputField(input)], ...(attention && { attention }) };
  return (await request("v1/embeddings", { body, signal })).data[0];
}

export const match = (model, inputs, signal) =>
  request("v1/attention/match", { body: { model: model.id, inputs: inputs.map(toInputField), pairs: true }, signal });
