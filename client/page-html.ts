/** The HTML of pages: no text of documents in it, scripts by nonce, everything else from dist/webviews. */
import { randomBytes } from "node:crypto";
import * as vscode from "vscode";

/** What a page's webview may load. */
export function pageOptions(extensionUri: vscode.Uri): vscode.WebviewOptions {
  return {
    enableScripts: true,
    localResourceRoots: [vscode.Uri.joinPath(extensionUri, "dist/webviews")],
  };
}

/** The HTML of the page whose script and style sheet are called `name`. */
export function pageHtml(
  webview: vscode.Webview,
  extensionUri: vscode.Uri,
  { name, title }: { name: string; title: string },
): string {
  const file = (path: string): string =>
    webview.asWebviewUri(vscode.Uri.joinPath(extensionUri, "dist/webviews", path)).toString();
  const nonce = randomBytes(18).toString("base64url");
  const policy = [
    "default-src 'none'",
    `style-src ${webview.cspSource}`,
    `font-src ${webview.cspSource}`,
    `script-src 'nonce-${nonce}'`,
  ].join("; ");
  return `<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="${policy}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>${title}</title>
<link rel="stylesheet" href="${file("codicon.css")}">
<link rel="stylesheet" href="${file(`${name}.css`)}">
</head>
<body>
<div id="page"></div>
<script nonce="${nonce}" src="${file(`${name}.js`)}"></script>
</body>
</html>`;
}
