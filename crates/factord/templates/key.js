// Runs the WebAuthn ceremony that the page was made for, sends what comes of it back to the page's own address, and goes
// where the answer says.

const button = document.getElementById("go");
const told = document.getElementById("told");
const options = JSON.parse(button.dataset.options);

const bytes = (text) =>
  Uint8Array.from(atob(text.replaceAll("-", "+").replaceAll("_", "/")), (c) => c.charCodeAt(0));
const text = (buffer) =>
  btoa(String.fromCharCode(...new Uint8Array(buffer))).replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");
const described = (list) => (list ?? []).map((key) => ({ ...key, id: bytes(key.id) }));

async function create() {
  const publicKey = {
    ...options,
    challenge: bytes(options.challenge),
    user: { ...options.user, id: bytes(options.user.id) },
    excludeCredentials: described(options.excludeCredentials),
  };
  const made = await navigator.credentials.create({ publicKey });
  return credential(made, {
    attestationObject: text(made.response.attestationObject),
    transports: made.response.getTransports?.() ?? [],
  });
}

async function get() {
  const publicKey = {
    ...options,
    challenge: bytes(options.challenge),
    allowCredentials: described(options.allowCredentials),
  };
  const used = await navigator.credentials.get({ publicKey });
  return credential(used, {
    authenticatorData: text(used.response.authenticatorData),
    signature: text(used.response.signature),
    userHandle: used.response.userHandle && text(used.response.userHandle),
  });
}

function credential(from, response) {
  return {
    id: from.id,
    rawId: text(from.rawId),
    type: from.type,
    clientExtensionResults: from.getClientExtensionResults(),
    response: { clientDataJSON: text(from.response.clientDataJSON), ...response },
  };
}

async function go() {
  button.disabled = true;
  told.textContent = "";
  try {
    const body = JSON.stringify(await (button.dataset.ceremony === "create" ? create() : get()));
    const headers = { "Content-Type": "application/json" };
    const answer = await fetch(location.pathname, { method: "POST", headers, body });
    if (answer.ok) {
      const { go_to: next } = await answer.json();
      told.textContent = told.dataset.done;
      if (next) location.replace(next);
      return;
    }
    if (answer.status === 404) {
      told.textContent = told.dataset.over;
      return;
    }
  } catch {
    // The person said no, or took too long; the browser does not say which.
  }
  told.textContent = told.dataset.failed;
  button.disabled = false;
}

if (window.PublicKeyCredential) {
  button.addEventListener("click", go);
  button.disabled = false;
} else {
  told.textContent = told.dataset.unable;
}
