// What the page's networks are made of. A file that both have, as the tokenizer, is packed and fetched once.

export interface Entry {
  /** Relative to the manifest. */
  path: string;
  /** Bytes to fetch. */
  size: number;
  /** Of the unpacked file. */
  sha256: string;
}

export interface Manifest {
  name: string;
  discriminator: Record<string, Entry>;
  generator: Record<string, Entry>;
}

/** Bytes to fetch for both networks. */
export function packedSize({ discriminator, generator }: Manifest): number {
  const sizes = new Map([...Object.values(discriminator), ...Object.values(generator)].map(({ path, size }) => [path, size]));
  return [...sizes.values()].reduce((sum, size) => sum + size, 0);
}
