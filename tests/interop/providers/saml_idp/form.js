// The fields of saml-idp's sign-in page, under the attribute names that Okta's own examples use. What is in them is typed
// in at each sign-in.
const text = (id) => ({ id, displayName: id, description: id, optional: false, multiValue: false })

module.exports = {
  user: { userName: '', nameIdFormat: '', firstName: '', lastName: '', email: '', groups: '' },
  metadata: [text('firstName'), text('lastName'), text('email'), { ...text('groups'), optional: true, multiValue: true }],
}
