// Keeps a session at a Manifest Auth server for an HttpClient: puts the access token on requests, refreshes it, and
// sends a refused request once more. A sample to copy: .NET Standard 2.0, C# 7, no package.
using System;
using System.IO;
using System.Net;
using System.Net.Http;
using System.Net.Http.Headers;
using System.Runtime.Serialization;
using System.Runtime.Serialization.Json;
using System.Text;
using System.Threading;
using System.Threading.Tasks;

namespace ManifestAuth
{
    /// <summary>What is kept of a session. Store it whole, in the system's own protected store.</summary>
    public sealed class ManifestTokens
    {
        public ManifestTokens(string token, string refreshToken, DateTimeOffset renewAt)
        {
            Token = token;
            RefreshToken = refreshToken;
            RenewAt = renewAt;
        }

        public string Token { get; }
        public string RefreshToken { get; }
        /// <summary>30 seconds before the end; of a short-lived token after half of its life.</summary>
        public DateTimeOffset RenewAt { get; }
    }

    /// <summary>The server refused: <see cref="Code"/> is one of its closed list.</summary>
    public sealed class ManifestAuthException : Exception
    {
        public ManifestAuthException(string code, string message, string requestId) : base(message)
        {
            Code = code;
            RequestId = requestId;
        }

        public string Code { get; }
        public string RequestId { get; }
    }

    /// <summary>
    /// <c>new HttpClient(new ManifestAuthHandler(new Uri("https://auth.example.com/")))</c>. One handler is one session.
    /// Tokens go to the origin of the base address alone; the handler below must not follow redirects by itself.
    /// </summary>
    public sealed class ManifestAuthHandler : DelegatingHandler
    {
        private const string Auth = "api/client/auth/";
        private readonly Uri baseAddress;
        private readonly Func<ManifestTokens, Task> save;
        private readonly SemaphoreSlim turn = new SemaphoreSlim(1, 1);
        private ManifestTokens tokens;

        /// <param name="tokens">Of an earlier run, or null.</param>
        /// <param name="save">Told each new pair before it is used, and null when the session is over.</param>
        public ManifestAuthHandler(Uri baseAddress, ManifestTokens tokens = null, Func<ManifestTokens, Task> save = null)
            : base(new HttpClientHandler { AllowAutoRedirect = false, UseCookies = false })
        {
            this.baseAddress = baseAddress;
            this.tokens = tokens;
            this.save = save ?? (_ => Task.CompletedTask);
        }

        /// <summary>Signs in with a password. <c>MFA_REQUIRED</c> is an exception: use the page /sign-in then.</summary>
        public async Task SignInAsync(string client, string email, string password, CancellationToken cancel = default(CancellationToken))
        {
            var body = new SignIn { Email = email, Password = password };
            await turn.WaitAsync(cancel).ConfigureAwait(false);
            try
            {
                await KeepAsync(await PostAsync("sign-in", body, client, cancel).ConfigureAwait(false)).ConfigureAwait(false);
            }
            finally
            {
                turn.Release();
            }
        }

        protected override async Task<HttpResponseMessage> SendAsync(HttpRequestMessage request, CancellationToken cancel)
        {
            if (!IsOurs(request.RequestUri) || request.Headers.Authorization != null)
            {
                return await base.SendAsync(request, cancel).ConfigureAwait(false);
            }
            // Read beforehand, so that it can be sent a second time.
            if (request.Content != null)
            {
                await request.Content.LoadIntoBufferAsync().ConfigureAwait(false);
            }
            var token = await TokenAsync(null, cancel).ConfigureAwait(false);
            var response = await base.SendAsync(With(request, token), cancel).ConfigureAwait(false);
            if (token == null || response.StatusCode != HttpStatusCode.Unauthorized || !await IsOverAsync(response).ConfigureAwait(false))
            {
                return response;
            }
            var fresh = await TokenAsync(token, cancel).ConfigureAwait(false);
            if (fresh == null) return response;
            response.Dispose();
            return await base.SendAsync(With(await CopyAsync(request).ConfigureAwait(false), fresh), cancel).ConfigureAwait(false);
        }

        /// <summary>A token that is not about to end and is not <paramref name="stale"/>. One caller refreshes, others wait.</summary>
        private async Task<string> TokenAsync(string stale, CancellationToken cancel)
        {
            var held = tokens;
            if (held == null || IsGood(held, stale))
            {
                return held?.Token;
            }
            await turn.WaitAsync(cancel).ConfigureAwait(false);
            try
            {
                if (tokens == null || IsGood(tokens, stale))
                {
                    return tokens?.Token;
                }
                // What one caller gives up must not be lost for the others: the refresh itself is never cancelled.
                return await RefreshAsync().ConfigureAwait(false);
            }
            finally
            {
                turn.Release();
            }
        }

        /// <summary>An answer that got lost is asked for once more with the same token: the server allows ten seconds.</summary>
        private async Task<string> RefreshAsync()
        {
            var body = new Refresh { RefreshToken = tokens.RefreshToken };
            for (var attempt = 0; ; attempt++)
            {
                using (var limit = new CancellationTokenSource(TimeSpan.FromSeconds(attempt == 0 ? 5 : 30)))
                {
                    try
                    {
                        await KeepAsync(await PostAsync("refresh", body, null, limit.Token).ConfigureAwait(false)).ConfigureAwait(false);
                        return tokens.Token;
                    }
                    catch (ManifestAuthException refused) when (refused.Code == "INVALID_TOKEN" || refused.Code == "TOKEN_EXPIRED")
                    {
                        await save(null).ConfigureAwait(false);
                        tokens = null;
                        return null;
                    }
                    catch (Exception lost) when (attempt == 0 && (lost is HttpRequestException || lost is OperationCanceledException))
                    {
                    }
                }
            }
        }

        /// <summary>Saved before it is used: with its first use the token before it is dead.</summary>
        private async Task KeepAsync(Data data)
        {
            var life = TimeSpan.FromSeconds(data.ExpiresIn);
            var margin = Math.Min(30, data.ExpiresIn / 2.0);
            var kept = new ManifestTokens(data.Token, data.RefreshToken, DateTimeOffset.UtcNow + life - TimeSpan.FromSeconds(margin));
            await save(kept).ConfigureAwait(false);
            tokens = kept;
        }

        private async Task<Data> PostAsync(string path, object body, string client, CancellationToken cancel)
        {
            using (var request = new HttpRequestMessage(HttpMethod.Post, new Uri(baseAddress, Auth + path)))
            {
                request.Content = new StringContent(Write(body), Encoding.UTF8, "application/json");
                if (client != null) request.Headers.Add("X-Client-ID", client);
                using (var response = await base.SendAsync(request, cancel).ConfigureAwait(false))
                {
                    var answer = await ReadAsync(response).ConfigureAwait(false);
                    if (response.IsSuccessStatusCode && answer?.Data != null)
                    {
                        return answer.Data;
                    }
                    var error = answer?.Error;
                    if (error?.Code == null)
                    {
                        throw new HttpRequestException("The server returned " + (int)response.StatusCode);
                    }
                    throw new ManifestAuthException(error.Code, error.Message, error.RequestId);
                }
            }
        }

        private bool IsOurs(Uri address)
        {
            return Uri.Compare(address, baseAddress, UriComponents.SchemeAndServer, UriFormat.SafeUnescaped, StringComparison.OrdinalIgnoreCase) == 0;
        }

        private static bool IsGood(ManifestTokens held, string stale)
        {
            return held.Token != stale && DateTimeOffset.UtcNow < held.RenewAt;
        }

        private static async Task<bool> IsOverAsync(HttpResponseMessage response)
        {
            await response.Content.LoadIntoBufferAsync().ConfigureAwait(false);
            var answer = await ReadAsync(response).ConfigureAwait(false);
            var code = answer?.Error?.Code ?? (answer?.Errors?.Length > 0 ? answer.Errors[0].Extensions?.Code : null);
            return code == "TOKEN_EXPIRED" || code == "INVALID_TOKEN";
        }

        private static HttpRequestMessage With(HttpRequestMessage request, string token)
        {
            if (token != null) request.Headers.Authorization = new AuthenticationHeaderValue("Bearer", token);
            return request;
        }

        private static async Task<HttpRequestMessage> CopyAsync(HttpRequestMessage request)
        {
            var copy = new HttpRequestMessage(request.Method, request.RequestUri) { Version = request.Version };
            foreach (var header in request.Headers)
            {
                copy.Headers.TryAddWithoutValidation(header.Key, header.Value);
            }
            if (request.Content != null)
            {
                copy.Content = new ByteArrayContent(await request.Content.ReadAsByteArrayAsync().ConfigureAwait(false));
                foreach (var header in request.Content.Headers)
                {
                    copy.Content.Headers.TryAddWithoutValidation(header.Key, header.Value);
                }
            }
            return copy;
        }

        private static string Write(object body)
        {
            using (var stream = new MemoryStream())
            {
                new DataContractJsonSerializer(body.GetType()).WriteObject(stream, body);
                return Encoding.UTF8.GetString(stream.ToArray());
            }
        }

        private static async Task<Answer> ReadAsync(HttpResponseMessage response)
        {
            var bytes = await response.Content.ReadAsByteArrayAsync().ConfigureAwait(false);
            try
            {
                using (var stream = new MemoryStream(bytes))
                {
                    return (Answer)new DataContractJsonSerializer(typeof(Answer)).ReadObject(stream);
                }
            }
            catch (SerializationException)
            {
                return null;
            }
        }

        [DataContract]
        private sealed class SignIn
        {
            [DataMember(Name = "email")] public string Email = null;
            [DataMember(Name = "password")] public string Password = null;
        }

        [DataContract]
        private sealed class Refresh
        {
            [DataMember(Name = "refreshToken")] public string RefreshToken = null;
        }

        [DataContract]
        private sealed class Answer
        {
            [DataMember(Name = "data")] public Data Data = null;
            [DataMember(Name = "error")] public Error Error = null;
            [DataMember(Name = "errors")] public GraphQLError[] Errors = null;
        }

        [DataContract]
        private sealed class Data
        {
            [DataMember(Name = "token")] public string Token = null;
            [DataMember(Name = "refreshToken")] public string RefreshToken = null;
            [DataMember(Name = "expiresIn")] public int ExpiresIn = 0;
        }

        [DataContract]
        private sealed class Error
        {
            [DataMember(Name = "code")] public string Code = null;
            [DataMember(Name = "message")] public string Message = null;
            [DataMember(Name = "requestId")] public string RequestId = null;
        }

        [DataContract]
        private sealed class GraphQLError
        {
            [DataMember(Name = "extensions")] public Error Extensions = null;
        }
    }
}
