/**
 * Every code by which a record or a request can be refused. Each needs a sentence in both languages.
 * The test `refusals.test.ts` compares this list with schemas/ when it is there.
 */

export const REFUSAL_CODES = [
  // Every record, in order of precedence (decision 14).
  'nonce_conflict', 'expired', 'not_yet_valid', 'device_unknown', 'device_revoked', 'role_missing',
  // device
  'key_of_another', 'attestation_invalid', 'attestation_expired', 'too_many_devices', 'device_not_found', 'already_revoked',
  // role and roll
  'role_already_held', 'already_approved', 'role_not_held', 'roll_part_out_of_order', 'roll_differs', 'roll_not_found',
  'roll_not_in_force',
  // motion and ballot
  'matter_not_found', 'closes_too_soon', 'questions_malformed', 'motion_not_found', 'motion_closed', 'question_not_found',
  'not_on_roll', 'device_not_verified', 'device_too_new', 'ballot_already_cast', 'replaced_ballot_not_found',
  'commitment_already_used',
  // ticket
  'category_unknown',
  // Requests that never become a record.
  'malformed', 'unauthorised', 'forbidden', 'not_found', 'too_large', 'too_many_requests', 'no_quorum', 'unavailable',
  'internal', 'code_wrong', 'tries_exhausted', 'photo_too_large', 'photo_unreadable', 'photo_damaged', 'timeout',
] as const

export type RefusalCode = (typeof REFUSAL_CODES)[number]
