import { describe, expect, it } from 'vitest'
import { parseXml } from './xml.ts'

const refused = expect.objectContaining({ code: 'collection_unreadable' }) as Error

describe('the XML of feeds', () => {
  it('is read with its attributes, texts and own entities', () => {
    const root = parseXml('\uFEFF<?xml version="1.0"?>\n<!-- c --><a b="1 &lt; 2" c=\'"\'>x&amp;&#65;&#x42;<d/><![CDATA[<y>&amp;]]></a>\n')
    expect({ ...root.attributes }).toEqual({ b: '1 < 2', c: '"' })
    expect(root.text).toBe('x&AB<y>&amp;')
    expect(root.children.map(({ name }) => name)).toEqual(['d'])
  })

  it.each([
    ['a billion laughs', '<!DOCTYPE l [<!ENTITY a "ha"><!ENTITY b "&a;&a;&a;&a;">]><l>&b;</l>'],
    ['an entity of a file', '<!DOCTYPE r [<!ENTITY x SYSTEM "file:///etc/passwd">]><r>&x;</r>'],
    ['a document type alone', '<!DOCTYPE html><html></html>'],
    ['a document type in lower case', '<!doctype r><r/>'],
    ['a document type inside', '<r><!DOCTYPE x></r>'],
    ['a document type of another place', '<!DOCTYPE r SYSTEM "http://169.254.169.254/"><r/>'],
    ['an entity that nobody declared', '<r>&nbsp;</r>'],
    ['a name of object members as an entity', '<r>&constructor;</r>'],
    ['a bare ampersand', '<r>a & b</r>'],
    ['a character that is none', '<r>&#0;</r>'],
    ['half a pair of characters', '<r>&#xD800;</r>'],
    ['a character beyond all', '<r>&#x110000;</r>'],
    ['an element that is not closed', '<r><a></r>'],
    ['two roots', '<r/><r/>'],
    ['text beside the root', '<r/>x'],
    ['nothing', ''],
    ['an attribute twice', '<r a="1" a="2"/>'],
    ['an attribute without quotes', '<r a=1/>'],
    ['a comment without end', '<r><!-- '],
    ['a section without end', '<r><![CDATA[ </r>'],
    ['a tag without end', '<r a="1"'],
    ['an element 65 deep', '<a>'.repeat(65) + '</a>'.repeat(65)],
    ['300,000 elements', `<r>${'<a/>'.repeat(300_000)}</r>`],
    ['65 attributes', `<r ${Array.from({ length: 65 }, (_, i) => `a${i}=""`).join(' ')}/>`],
  ])('is refused with %s', (_what, text) => {
    expect(() => parseXml(text)).toThrow(refused)
  })

  it('keeps attributes with names of object members as what they are', () => {
    expect(parseXml('<r __proto__="x" constructor="y"/>').attributes['constructor']).toBe('y')
  })

  // Each would take minutes where time grows with the square of the text; the runner's own limit ends such a test.
  it.each([
    ['opened tags', '<a '.repeat(1_000_000)],
    ['ampersands', `<r>${'&'.repeat(2_000_000)}</r>`],
    ['blanks in a tag', `<r${' '.repeat(2_000_000)}`],
    ['comments that begin', `<r>${'<!--'.repeat(500_000)}`],
  ])('ends soon for a great many %s', (_what, text) => {
    expect(() => parseXml(text)).toThrow(refused)
  })
})
