/** The sObject types that the simulated org has: which fields they hold, and what a value of a field may be. */
import { z } from 'zod';

/** The greatest length of a text field, or what else the field holds. */
export const fieldKindSchema = z.union([
  z.int().min(1).max(131_072),
  z.enum(['email', 'boolean', 'double', 'date', 'datetime', 'reference', 'read_only']),
]);
export type FieldKind = z.infer<typeof fieldKindSchema>;

export const objectTypeSchema = z.strictObject({
  /** First three characters of the type's ids. */
  prefix: z.string().regex(/^[A-Za-z0-9]{3}$/),
  required: z.array(z.string()).max(20),
  fields: z.record(z.string(), fieldKindSchema),
});
export type ObjectType = z.infer<typeof objectTypeSchema>;

const addressOf = (prefix: string): Record<string, FieldKind> => ({
  [`${prefix}Street`]: 255,
  [`${prefix}City`]: 40,
  [`${prefix}State`]: 80,
  [`${prefix}PostalCode`]: 20,
  [`${prefix}Country`]: 80,
});

/** What people have in common; lengths from the object reference's field tables. */
const person: Record<string, FieldKind> = {
  Salutation: 40,
  FirstName: 40,
  LastName: 80,
  Name: 'read_only',
  Title: 128,
  Email: 'email',
  Phone: 40,
  MobilePhone: 40,
  Fax: 40,
  Description: 32_000,
  LeadSource: 40,
  OwnerId: 'reference',
  MasterRecordId: 'read_only',
  HasOptedOutOfEmail: 'boolean',
  DoNotCall: 'boolean',
};

export const defaultObjects: Record<string, ObjectType> = {
  Contact: {
    prefix: '003',
    required: ['LastName'],
    fields: {
      ...person,
      AccountId: 'reference',
      ReportsToId: 'reference',
      Department: 80,
      AssistantName: 40,
      AssistantPhone: 40,
      HomePhone: 40,
      OtherPhone: 40,
      Birthdate: 'date',
      ...addressOf('Mailing'),
      ...addressOf('Other'),
    },
  },
  Lead: {
    prefix: '00Q',
    required: ['LastName', 'Company'],
    fields: {
      ...person,
      Company: 255,
      Website: 255,
      Industry: 255,
      Rating: 255,
      Status: 255,
      AnnualRevenue: 'double',
      NumberOfEmployees: 'double',
      IsConverted: 'read_only',
      ...addressOf(''),
    },
  },
  Account: {
    prefix: '001',
    required: ['Name'],
    fields: {
      Name: 255,
      AccountNumber: 40,
      Site: 80,
      Type: 255,
      Industry: 255,
      Rating: 255,
      Phone: 40,
      Fax: 40,
      Website: 255,
      Description: 32_000,
      AnnualRevenue: 'double',
      NumberOfEmployees: 'double',
      ParentId: 'reference',
      OwnerId: 'reference',
      MasterRecordId: 'read_only',
      ...addressOf('Billing'),
      ...addressOf('Shipping'),
    },
  },
};

/** Fields that every type has and nobody writes. */
export const systemFields: Readonly<Record<string, FieldKind>> = {
  Id: 'read_only',
  IsDeleted: 'read_only',
  CreatedDate: 'read_only',
  LastModifiedDate: 'read_only',
  SystemModstamp: 'read_only',
};

export interface Field {
  /** Spelled as the type spells it: callers may write field names in any case. */
  readonly name: string;
  /** `any`: a custom field about which no settings say what it holds. */
  readonly kind: FieldKind | 'any';
}

/** The type's field of that name in whatever case; undefined when it has none. Names ending in `__c` exist if custom fields may. */
export function fieldOf(type: ObjectType, name: string, allowsCustomFields: boolean): Field | undefined {
  for (const fields of [type.fields, systemFields]) if (Object.hasOwn(fields, name)) return { name, kind: fields[name] as FieldKind };
  const lower = name.toLowerCase();
  for (const fields of [type.fields, systemFields]) {
    const known = Object.keys(fields).find((candidate) => candidate.toLowerCase() === lower);
    if (known !== undefined) return { name: known, kind: fields[known] as FieldKind };
  }
  return allowsCustomFields && /^[A-Za-z]\w*__c$/i.test(name) ? { name: name.replace(/__c$/i, '__c'), kind: 'any' } : undefined;
}
