/**
 * JSON Schemas of outgoing payloads (draft 7 as ajv reads it): checked when a provider is registered, compiled once in each process. A
 * schema comes from an operator and is run on everybody's data, so it is bounded: in size, in depth, in its references and its patterns;
 * and it cannot make us fetch anything.
 */
import { Ajv, type ErrorObject, type ValidateFunction } from 'ajv';
import addFormatsModule from 'ajv-formats';
import type { FieldError } from '../domain/field-error.ts';
import { readPattern } from './pattern.ts';
import { checkReferences, partsOf, type SchemaPart } from './schema-work.ts';

export type JsonObject = Readonly<Record<string, unknown>>;

export interface PayloadCheck {
  /** Empty when the payload is as the schema wants it; at most ten errors. */
  check(payload: unknown): readonly FieldError[];
}

const maxSchemaBytes = 64 * 1024;
const maxDepth = 32;
const maxErrors = 10;
/**
 * Instructions of a pattern times characters of a text, for all that are tried on one payload: 64 KiB of text with a pattern that has
 * `{1,255}` in it. Most patterns take a few milliseconds for so much, those made to take long (`[ab]*a[ab]{500}c$`) more than a second.
 */
const maxPatternWork = 34_000_000;
/** The plugin is CommonJS: under Node's ESM its function is the default of the default. */
const addFormats = addFormatsModule as unknown as typeof addFormatsModule.default;
/**
 * The plugin's own reads on from every `:` and `@` of the text, in vain: seconds for 64 KiB. What stands before the host ends at a slash, so
 * that only what lies between two slashes is read twice. The other formats take a few milliseconds for the longest text.
 */
const { source: pluginUrl, flags: urlFlags } = addFormats.get('url') as RegExp;
const linearUrl = new RegExp(pluginUrl.replace('(?:\\S+(?::\\S*)?@)?', '(?:[^\\s/]+@)?'), urlFlags);
if (linearUrl.source === pluginUrl) throw new Error('the format url of ajv-formats is another one now');

/** What keeps a schema from being used; empty when nothing does. */
export function checkPayloadSchema(schema: JsonObject): readonly FieldError[] {
  return readSchema(schema).errors;
}

/**
 * Throws on a schema that `checkPayloadSchema` refuses. `isPartial`: the payload holds changed fields only, so that the schema's own
 * `required` (not that of nested objects) is not asked for.
 */
export function compilePayloadSchema(schema: JsonObject, options: { isPartial?: boolean } = {}): PayloadCheck {
  const { required: _, ...partial } = schema;
  const { check, errors } = readSchema(options.isPartial ? partial : schema);
  if (!check) throw new Error(`the schema ${errors[0]?.path} ${errors[0]?.message}`);
  return check;
}

interface ReadSchema {
  readonly errors: readonly FieldError[];
  /** Where there are no errors. */
  readonly check?: PayloadCheck;
}

/**
 * The schemas that were read last, by their text: a configuration is read whenever it or its provider changes, by each of a provider's
 * tenants anew, and a schema takes tens of milliseconds. Compiled, one takes some twenty times the room of its text.
 */
const readSchemas = new Map<string, ReadSchema>();
const maxReadCharacters = 1024 * 1024;
let readCharacters = 0;

function readSchema(schema: JsonObject): ReadSchema {
  // First: everything else walks to the bottom.
  if (isDeeper(schema, maxDepth)) return { errors: [{ path: '', message: `is nested more than ${maxDepth} deep` }] };
  const text = JSON.stringify(schema);
  if (Buffer.byteLength(text) > maxSchemaBytes) return { errors: [{ path: '', message: 'has more than 64 KiB' }] };
  const read = readSchemas.get(text) ?? readNew(schema);
  if (readSchemas.delete(text)) readCharacters -= text.length;
  readSchemas.set(text, read);
  readCharacters += text.length;
  for (const oldest of readSchemas.keys()) {
    if (readCharacters <= maxReadCharacters) break;
    readSchemas.delete(oldest);
    readCharacters -= oldest.length;
  }
  return read;
}

function readNew(whole: JsonObject): ReadSchema {
  const errors: FieldError[] = [];
  // What it is called and written in; nothing refers to either.
  const { $schema: _dialect, $id: _name, ...schema } = whole;
  inspect(schema, '', errors);
  if (errors.length > 0) return { errors: errors.slice(0, maxErrors) };
  try {
    const problem = checkReferences(schema);
    return problem === undefined ? { errors, check: compile(schema) } : { errors: [{ path: '', message: problem }] };
  } catch (error) {
    const reason = error instanceof Error ? error.message.slice(0, 300) : 'cannot be compiled';
    return { errors: [{ path: '', message: `is no JSON Schema: ${reason}` }] };
  }
}

function isDeeper(node: unknown, levels: number): boolean {
  if (levels < 0) return true;
  return typeof node === 'object' && node !== null && Object.values(node).some((value) => isDeeper(value, levels - 1));
}

function inspect(schema: SchemaPart, path: string, errors: FieldError[]): void {
  const at = (inner: string) => (path === '' ? inner : `${path}.${inner}`);
  for (const [keyword, value] of Object.entries(schema)) {
    const message = checkKeyword(keyword, value);
    if (message) errors.push({ path: at(keyword), message });
  }
  for (const { path: inner, part } of partsOf(schema)) inspect(part, at(inner), errors);
}

function checkKeyword(name: string, value: unknown): string | undefined {
  if (name === '$ref' && typeof value === 'string' && !/^#(?:\/|$)/.test(value)) return 'may only refer to this schema (#/...)';
  // They give parts other addresses than their places.
  if (name === '$id' || name === '$anchor' || name === '$dynamicAnchor') return 'is not taken here: refer to parts by their places (#/...)';
  if (name === '$async' && value === true) return 'asynchronous schemas are not allowed';
  if (name === 'pattern' && typeof value === 'string') return whyNoPattern(value);
  if (name === 'patternProperties' && typeof value === 'object' && value !== null) {
    return Object.keys(value)
      .map(whyNoPattern)
      .find((message) => message !== undefined);
  }
  return undefined;
}

function whyNoPattern(source: string): string | undefined {
  const read = readPattern(source);
  return read.status === 'refused' ? read.message : undefined;
}

function compile(schema: JsonObject): PayloadCheck {
  // An instance for each schema: ajv keeps what it has compiled.
  const work = createPatternWork();
  const ajv = new Ajv({ strict: false, allErrors: true, validateSchema: true, code: { regExp: work.regExp }, logger: false });
  addFormats(ajv);
  ajv.addFormat('url', linearUrl);
  const validate: ValidateFunction = ajv.compile(schema);
  return {
    check: (payload) => work.limit(() => (validate(payload) ? [] : (validate.errors ?? []).slice(0, maxErrors).map(toFieldError))),
  };
}

class TooMuchWork extends Error {}

/** ajv's patterns, and a bound on the work of one check: thrown, so that what cannot be told counts neither as a match nor as none. */
function createPatternWork() {
  let left = 0;
  const regExp = (source: string) => {
    const read = readPattern(source);
    if (read.status === 'refused') throw new Error(`${JSON.stringify(source)} ${read.message}`);
    const { size, isIn } = read.pattern;
    return {
      test(text: string): boolean {
        left -= size * text.length;
        if (left < 0) throw new TooMuchWork();
        return isIn(text);
      },
      toString: () => source,
    };
  };
  /** ajv writes this only into standalone code, which is not made here. */
  regExp.code = 'new RegExp';
  return {
    regExp,
    limit(check: () => readonly FieldError[]): readonly FieldError[] {
      left = maxPatternWork;
      try {
        return check();
      } catch (error) {
        if (error instanceof TooMuchWork) return [{ path: '', message: 'has texts too long to try the schema’s patterns on' }];
        throw error;
      }
    },
  };
}

function toFieldError(error: ErrorObject): FieldError {
  const path = error.instancePath.slice(1).split('/').map(unescapePointer).join('.');
  const at = (name: unknown) => (path === '' ? String(name) : `${path}.${String(name)}`);
  if (error.keyword === 'required') return { path: at(error.params['missingProperty']), message: 'is required' };
  if (error.keyword === 'additionalProperties') return { path: at(error.params['additionalProperty']), message: 'is not a known field' };
  if (error.keyword === 'enum') return { path, message: `must be one of ${JSON.stringify(error.params['allowedValues']).slice(0, 200)}` };
  return { path, message: error.message ?? 'is not valid' };
}

function unescapePointer(part: string): string {
  return part.replaceAll('~1', '/').replaceAll('~0', '~');
}
