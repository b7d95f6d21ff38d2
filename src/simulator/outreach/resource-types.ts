/** The resources that the simulated Outreach has, their attributes and what can be done with them, from its published description. */

export interface Attribute {
  readonly holds: 'text' | 'date' | 'time' | 'boolean' | 'number' | 'integer' | 'list';
  /** Characters. */
  readonly maxLength: number | undefined;
  readonly isReadOnly: boolean;
  readonly isFilterable: boolean;
}

export interface ResourceType {
  /** As in `type`. */
  readonly name: string;
  /** As in paths. */
  readonly plural: string;
  readonly attributes: ReadonlyMap<string, Attribute>;
  /** Relationships that can be written, to one record or to many. */
  readonly toOne: readonly string[];
  readonly toMany: readonly string[];
  /** Without one of them a new record is refused. */
  readonly required: readonly string[];
}

interface Part extends Partial<Omit<Attribute, 'holds'>> {
  readonly holds: Attribute['holds'];
  readonly names: string;
}

function attributesOf(parts: readonly Part[], filterable: string, customs: number): ReadonlyMap<string, Attribute> {
  const filters = filterable.split(' ');
  const attributes = new Map<string, Attribute>();
  for (const { names, holds, maxLength, isReadOnly = false } of parts) {
    for (const name of names.split(' ')) attributes.set(name, { holds, maxLength, isReadOnly, isFilterable: filters.includes(name) });
  }
  for (let n = 1; n <= customs; n += 1) {
    attributes.set(`custom${n}`, { holds: 'text', maxLength: 32_000, isReadOnly: false, isFilterable: false });
  }
  return attributes;
}

const prospectTexts =
  'addressCity addressCountry addressState addressStreet addressStreet2 addressZip angelListUrl callsOptStatus campaignName degree ' +
  'emailsOptStatus eventName externalId externalOwner externalSource facebookUrl firstName gender githubUsername googlePlusUrl lastName ' +
  'linkedInId middleName nickname occupation preferredContact quoraUrl region school sharingTeamId source stackOverflowId timeZone title ' +
  'twitterUsername company';

const prospect: ResourceType = {
  name: 'prospect',
  plural: 'prospects',
  attributes: attributesOf(
    [
      { holds: 'text', maxLength: 255, names: prospectTexts },
      { holds: 'text', maxLength: 255, isReadOnly: true, names: 'name linkedInSlug timeZoneIana timeZoneInferred' },
      { holds: 'text', maxLength: 1_000, names: 'githubUrl linkedInUrl stackOverflowUrl twitterUrl' },
      { holds: 'text', maxLength: 65_535, names: 'personalNote1 personalNote2 specialties websiteUrl1 websiteUrl2 websiteUrl3' },
      { holds: 'time', names: 'addedAt availableAt trashedAt' },
      { holds: 'time', isReadOnly: true, names: 'callsOptedAt createdAt emailsOptedAt engagedAt optedOutAt touchedAt updatedAt' },
      { holds: 'date', names: 'dateOfBirth graduationDate jobStartDate' },
      { holds: 'boolean', names: 'callOptedOut emailOptedOut optedOut' },
      { holds: 'integer', names: 'linkedInConnections' },
      { holds: 'integer', isReadOnly: true, names: 'clickCount openCount replyCount' },
      { holds: 'number', names: 'score' },
      { holds: 'number', isReadOnly: true, names: 'engagedScore' },
      { holds: 'list', names: 'emails homePhones mobilePhones otherPhones tags voipPhones workPhones' },
    ],
    'createdAt emails engagedAt engagedScore externalSource firstName githubUsername lastName linkedInId linkedInSlug sharingTeamId ' +
      'stackOverflowId timeZone title touchedAt twitterUsername updatedAt',
    150,
  ),
  toOne: ['account', 'owner', 'persona', 'stage'],
  toMany: ['assignedTeams', 'assignedUsers', 'favorites', 'opportunities'],
  required: [],
};

const account: ResourceType = {
  name: 'account',
  plural: 'accounts',
  attributes: attributesOf(
    [
      { holds: 'text', maxLength: 255, names: 'name customId domain companyType externalSource industry linkedInUrl locality naturalName' },
      { holds: 'text', maxLength: 65_535, names: 'description websiteUrl' },
      { holds: 'integer', names: 'numberOfEmployees followers foundedAt' },
      { holds: 'boolean', names: 'named' },
      { holds: 'list', names: 'tags' },
      { holds: 'time', isReadOnly: true, names: 'createdAt updatedAt touchedAt' },
    ],
    'createdAt customId domain externalSource name named touchedAt updatedAt',
    150,
  ),
  toOne: ['owner'],
  toMany: ['assignedTeams', 'assignedUsers'],
  required: ['name'],
};

const webhook: ResourceType = {
  name: 'webhook',
  plural: 'webhooks',
  attributes: attributesOf(
    [
      { holds: 'text', maxLength: 255, names: 'action resource secret' },
      { holds: 'text', maxLength: 1_024, names: 'url' },
      { holds: 'text', maxLength: 1_024, isReadOnly: true, names: 'disabledReason cleanupToken' },
      { holds: 'time', isReadOnly: true, names: 'createdAt disabledSince disabledUntil updatedAt' },
      { holds: 'boolean', names: 'active' },
      { holds: 'integer', names: 'payloadVersion' },
    ],
    'action active resource url',
    0,
  ),
  toOne: ['authorizer'],
  toMany: [],
  required: ['url'],
};

const types = [prospect, account, webhook];

export function resourceType(plural: string): ResourceType | undefined {
  return types.find((type) => type.plural === plural);
}
