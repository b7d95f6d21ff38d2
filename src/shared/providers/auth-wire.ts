/** `auth_config`: the ways to authenticate as they travel, which of their fields are secrets, and what the system reads of them. */
import { createPrivateKey } from 'node:crypto';
import { z } from 'zod';
import type { AuthConfig } from './config.ts';

const visibleAscii = /^[\x21-\x7e]+$/;
const headerText = /^[\x21-\x7e](?:[\x20-\x7e]*[\x21-\x7e])?$/;
const maxSecretLength = 8_192;
const secret = z.string().min(1).max(maxSecretLength);
const identifier = z.string().min(1).max(1_024);
const url = z.string().min(1).max(2_048);

/** Headers that belong to the transport or to Sluice itself. */
const ownHeaders = new Set(
  'connection content-length content-type expect host idempotency-key keep-alive te trailer transfer-encoding upgrade x-record-timestamp'.split(
    ' ',
  ),
);
const headerName = z
  .string()
  .regex(/^[A-Za-z0-9!#$%&'*+.^_`|~-]{1,128}$/, 'must be the name of a header')
  .refine((name) => !ownHeaders.has(name.toLowerCase()), 'must not be a header that Sluice sets itself');

/** RS256 wants so many (RFC 7518, 3.3). */
const minRsaBits = 2_048;

function isRsaPrivateKey(pem: string): boolean {
  try {
    const key = createPrivateKey(pem);
    return key.asymmetricKeyType === 'rsa' && (key.asymmetricKeyDetails?.modulusLength ?? 0) >= minRsaBits;
  } catch {
    return false;
  }
}

export const authWires = {
  none: z.strictObject({ type: z.literal('none') }),
  bearer: z.strictObject({
    type: z.literal('bearer'),
    token: secret.regex(visibleAscii, 'must be visible ASCII characters without spaces'),
  }),
  api_key: z.strictObject({
    type: z.literal('api_key'),
    header: headerName.default('X-Api-Key'),
    value: secret.regex(headerText, 'must be visible ASCII characters'),
  }),
  basic: z.strictObject({
    type: z.literal('basic'),
    username: identifier.regex(/^[^:]*$/, 'must not hold a colon'),
    // Where the user name is the key, there is none.
    password: z.string().max(maxSecretLength),
  }),
  oauth2_client_credentials: z.strictObject({
    type: z.literal('oauth2_client_credentials'),
    token_url: url,
    client_id: identifier,
    client_secret: secret,
    scope: z.string().min(1).max(2_048).optional(),
  }),
  oauth2_refresh_token: z.strictObject({
    type: z.literal('oauth2_refresh_token'),
    token_url: url,
    client_id: identifier,
    client_secret: secret,
    refresh_token: secret,
    redirect_uri: url.optional(),
  }),
  salesforce_jwt: z.strictObject({
    type: z.literal('salesforce_jwt'),
    login_url: url,
    client_id: identifier,
    username: identifier,
    private_key: secret.refine(isRsaPrivateKey, `must be an RSA private key of at least ${minRsaBits} bits, as PEM and not encrypted`),
    audience: url.optional(),
  }),
} as const;

export const authWire = z.discriminatedUnion('type', [
  authWires.none,
  authWires.bearer,
  authWires.api_key,
  authWires.basic,
  authWires.oauth2_client_credentials,
  authWires.oauth2_refresh_token,
  authWires.salesforce_jwt,
]);
export type AuthWire = z.infer<typeof authWire>;

/** The fields of `auth_config` that are sealed at rest and masked in every answer. */
export const secretFields: Readonly<Record<AuthWire['type'], readonly string[]>> = {
  none: [],
  bearer: ['token'],
  api_key: ['value'],
  basic: ['password'],
  oauth2_client_credentials: ['client_secret'],
  oauth2_refresh_token: ['client_secret', 'refresh_token'],
  salesforce_jwt: ['private_key'],
};

/** None of a type that there is not here: another version may have stored it. */
export function secretFieldsOf(auth: { readonly type?: unknown } | undefined): readonly string[] {
  const type = auth?.type;
  return typeof type === 'string' && Object.hasOwn(secretFields, type) ? secretFields[type as AuthWire['type']] : [];
}

/** The same credentials with every secret replaced. */
export function mapSecrets(auth: AuthWire, replace: (secret: string, field: string) => string): AuthWire {
  const replaced: Record<string, unknown> = { ...auth };
  for (const field of secretFieldsOf(auth)) replaced[field] = replace(String(replaced[field]), field);
  return replaced as AuthWire;
}

export function toAuth(auth: AuthWire): AuthConfig {
  switch (auth.type) {
    case 'oauth2_client_credentials': {
      const { type, token_url: tokenUrl, client_id: clientId, client_secret: clientSecret, scope } = auth;
      return { type, tokenUrl, clientId, clientSecret, ...(scope === undefined ? {} : { scope }) };
    }
    case 'oauth2_refresh_token': {
      const { type, token_url: tokenUrl, client_id: clientId, client_secret: clientSecret, refresh_token: refreshToken } = auth;
      const redirect = auth.redirect_uri === undefined ? {} : { redirectUri: auth.redirect_uri };
      return { type, tokenUrl, clientId, clientSecret, refreshToken, ...redirect };
    }
    case 'salesforce_jwt': {
      const { type, login_url, client_id: clientId, username, private_key: privateKey, audience } = auth;
      return {
        type,
        loginUrl: login_url.replace(/\/+$/, ''),
        clientId,
        username,
        privateKey,
        ...(audience === undefined ? {} : { audience }),
      };
    }
    default:
      return auth;
  }
}
