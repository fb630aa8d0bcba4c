/** A repository on the Hub, or a part of it. */
export interface HubAddress {
  readonly repo: string;
  readonly revision?: string;
  readonly files?: string[];
}

/** `owner/name@revision:part` in pieces; undefined for anything else, such as a part outside the repository. */
export function parseHubAddress(text: string): HubAddress | undefined {
  const match = /^([\w.-]+\/[\w.-]+)(?:@([\w./-]+))?(?::(.+))?$/.exec(text.trim());
  const [, repo, revision, part] = match ?? [];
  if (repo === undefined || part?.split("/").includes("..")) return undefined;
  return {
    repo,
    ...(revision === undefined ? {} : { revision }),
    ...(part === undefined ? {} : { files: [part] }),
  };
}
