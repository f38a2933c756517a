/** The endpoints that an organisation's own staff and officers ask at its own node. Thin, as api.ts is. */

import type {
  AddedPersonView,
  Offices,
  PersonAdded,
  PersonFound,
  Preview,
  RollStanding,
  SeenAtCounter,
  UnsignedRecords,
} from './generated'
import type { Page } from './api-types'
import { parseAnswer, upload } from './http'
import { askOrganisation, atOrganisation } from './nodes'
import { settings } from './settings'

async function ask<Body>(organisation: string, path: string): Promise<Body> {
  return parseAnswer<Body>(await askOrganisation(organisation, path))
}

async function send<Body>(organisation: string, path: string, data: unknown): Promise<Body> {
  return parseAnswer<Body>(await askOrganisation(organisation, path, { method: 'POST', data }))
}

export const officeApi = {
  standing: (organisation: string) => ask<RollStanding>(organisation, '/roll/standing'),
  previewRoll: async (organisation: string, filePath: string, leaveOut: number) =>
    parseAnswer<Preview>(
      await atOrganisation(organisation, (url, header) => {
        const spoken = { ...header, 'Accept-Language': settings().language }
        return upload(`${url}/roll/preview?leave_out=${leaveOut}`, filePath, spoken, 'file')
      }),
    ),
  applyRoll: (organisation: string, import_id: string) =>
    send<UnsignedRecords>(organisation, '/roll/apply', { import_id }),

  roles: (organisation: string) => ask<Offices>(organisation, '/roles'),

  addedPeople: (organisation: string) => ask<Page<AddedPersonView>>(organisation, '/people/added'),
  addPerson: (organisation: string, person: PersonAdded) =>
    send<PersonFound>(organisation, '/people/added', person),
  removePerson: (organisation: string, member: string) =>
    askOrganisation(organisation, '/people/added/' + encodeURIComponent(member), { method: 'DELETE' }),

  attestAtCounter: (organisation: string, code: string, member: string) =>
    send<SeenAtCounter>(organisation, '/identity/counter/' + encodeURIComponent(code), { member }),
}
