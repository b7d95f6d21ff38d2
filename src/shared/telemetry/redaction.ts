/** Takes credentials out of texts that people will read. */

const userInfo = /([a-z][a-z0-9+.-]*:\/\/)[^\s/@]*@/gi;
const credentialWords = /\b(Bearer|Basic)\s+[A-Za-z0-9._~+/=-]{6,}/gi;

/** Masks user and password of addresses, and the credentials of an Authorization header. */
export function maskText(text: string): string {
  return text.replace(userInfo, '$1***@').replace(credentialWords, '$1 ***');
}
